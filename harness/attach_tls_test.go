package harness_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
)

// pair is a certificate of 127.0.0.1, for a server and for a client, which trust it and no other.
func pair(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	one := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, one, one, &key.PublicKey, key)
	require.NoError(t, err)
	trusted, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(trusted)
	own := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	return &tls.Config{Certificates: own, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
			NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12},
		&tls.Config{Certificates: own, RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// behindTLS is an address at which TLS is spoken, and what is said is passed on to another.
func behindTLS(t *testing.T, cfg *tls.Config, to string) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	require.NoError(t, err)
	var running sync.WaitGroup
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		running.Wait()
	})
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer in.Close()
				defer context.AfterFunc(t.Context(), func() { _ = in.Close() })()
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close()
				running.Go(func() {
					_, _ = io.Copy(out, in)
					_ = out.Close()
				})
				_, _ = io.Copy(in, out)
			})
		}
	})
	return l.Addr().String()
}

func TestAttachedToAClusterThatSpeaksTLS(t *testing.T) {
	t.Parallel()
	s := someone(t)
	server, client := pair(t)
	behind := func(all []string) (tls []string) {
		for _, to := range all {
			tls = append(tls, behindTLS(t, server, to))
		}
		return tls
	}
	e := harness.Endpoints{Members: behind(s.endpoints.Members), Proxies: behind(s.endpoints.Proxies), TLS: client}
	a, err := harness.Connect(s.ctx, e)
	s.NoError(err)
	ghosts, _, _ := deregisterElsewhere(s, a)
	s.Equal([]string{"v1-a"}, ghosts)
	s.NoError(a.Close(s.ctx))
	s.unharmed(a.Run)

	e.TLS = nil
	ctx, cancel := context.WithTimeout(s.ctx, 300*time.Millisecond)
	defer cancel()
	_, err = harness.Connect(ctx, e)
	s.ErrorContains(err, "m1 was not reached at "+e.Members[0]+": ")
}
