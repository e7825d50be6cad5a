package balancer_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/balancer"
	"ghostroute/harness/history"
)

// BenchmarkConnect is a new connection up to its proxy's greeting, and its end: without a balancer and through a VIP.
func BenchmarkConnect(b *testing.B) {
	lb, _, behind := begin(b, 1, 1, 1)
	vip, err := lb.VIP("g1")
	require.NoError(b, err)
	for _, way := range []struct{ name, addr string }{{"direct", behind[0].port.Addr()}, {"vip", vip.Addr()}} {
		b.Run(way.name, func(b *testing.B) {
			said := make([]byte, greetingSize)
			for b.Loop() {
				conn, err := net.Dial("tcp", way.addr)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := conn.Read(said); err != nil {
					b.Fatal(err)
				}
				_ = conn.(*net.TCPConn).SetLinger(0) // or ports run out
				_ = conn.Close()
			}
		})
	}
}

// BenchmarkStartAndClose is what a balancer with a VIP for each of eight clients adds to a bench.
func BenchmarkStartAndClose(b *testing.B) {
	for b.Loop() {
		lb, err := balancer.New(history.New(), []balancer.Backend{{Name: "p1", Weight: 1}})
		if err != nil {
			b.Fatal(err)
		}
		for i := range 8 {
			if _, err := lb.VIP(fmt.Sprintf("g%d", i+1)); err != nil {
				b.Fatal(err)
			}
		}
		if err := lb.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
