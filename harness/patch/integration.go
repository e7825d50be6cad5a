package patch

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// modules has the go.mod and go.sum of a module that requires etcd's own integration tests. Their module's go.mod has
// replace directives, so they are run from another. To make it anew, in an empty folder with a package that imports
// go.etcd.io/etcd/tests/v3/framework/integration:
//
//	go mod init ghostroute/integration; go get go.etcd.io/etcd/tests/v3@vX; go mod tidy
//
//go:embed modules
var modules embed.FS

// Tests are the packages of etcd's integration tests that reach etcd through grpc-proxies where they are built with the
// tag cluster_proxy.
func Tests() []string {
	const in = "go.etcd.io/etcd/tests/v3/integration/"
	return []string{in + "proxy/grpcproxy", in + "clientv3", in + "clientv3/naming"}
}

// TestModule makes a module in a folder from which Tests are run, on the server module in another folder; "" is etcd's
// own.
func TestModule(dir, server string) error {
	mod, merr := modules.ReadFile("modules/tests-3.7.3.mod")
	sum, serr := modules.ReadFile("modules/tests-3.7.3.sum")
	if err := errors.Join(merr, serr, os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	if server != "" {
		mod = fmt.Appendf(mod, "\nreplace go.etcd.io/etcd/server/v3 => %s\n", server)
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "go.mod"), mod, 0o644),
		os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o644))
}
