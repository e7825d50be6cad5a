package link_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/link"
)

// BenchmarkRoundTrip is a small call and its answer over one connection: without a relay, through a link, and through
// the least relay there is, io.Copy both ways (which is splice on Linux).
func BenchmarkRoundTrip(b *testing.B) {
	for _, way := range []struct {
		name string
		lay  func(b *testing.B, target link.Target) net.Conn
	}{
		{"direct", func(b *testing.B, target link.Target) net.Conn {
			conn, err := target(b.Context())
			require.NoError(b, err)
			return conn
		}},
		{"link", func(b *testing.B, target link.Target) net.Conn {
			return dial(b, listen(b, target))
		}},
		{"link mended", func(b *testing.B, target link.Target) net.Conn {
			l := listen(b, target)
			l.SetDelay(time.Hour)
			l.Mend()
			return dial(b, l)
		}},
		{"copy", func(b *testing.B, target link.Target) net.Conn {
			return dial(b, listen(b, serve(b, "tcp", func(client net.Conn) {
				upstream, err := target(context.Background())
				require.NoError(b, err)
				var back sync.WaitGroup
				back.Go(func() { _, _ = io.Copy(client, upstream) })
				_, _ = io.Copy(upstream, client)
				_ = upstream.Close()
				back.Wait()
			})))
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			conn := way.lay(b, serve(b, "tcp", echo))
			b.Cleanup(func() { _ = conn.Close() })
			require.NoError(b, conn.SetDeadline(time.Time{}))
			call, answer := []byte(strings.Repeat("x", 128)), make([]byte, 128)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(call); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
