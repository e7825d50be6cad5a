package scenarios

import (
	"testing"

	"go.uber.org/goleak"

	"ghostroute/harness/gateway"
)

// What go-micro starts and nobody can end is named, with its reason, in gateway.KnownLeaks; everything else must be
// gone.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, gateway.KnownLeaks()...) }
