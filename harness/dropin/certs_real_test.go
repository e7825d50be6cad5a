//go:build real

package dropin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certs are an authority and one certificate of 127.0.0.1, for servers and clients. It has no common name: etcd refuses
// a proxy that has one.
type certs struct {
	ca, cert, key string // files
	client        *tls.Config
}

func newCerts(t *testing.T) certs {
	t.Helper()
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	one := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, one, ca, &key.PublicKey, caKey)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	c := certs{ca: file("ca.pem", "CERTIFICATE", caDER), cert: file("cert.pem", "CERTIFICATE", der),
		key: file("key.pem", "EC PRIVATE KEY", keyDER)}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	trusted, err := x509.ParseCertificate(caDER)
	require.NoError(t, err)
	pool.AddCert(trusted)
	c.client = &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}
	return c
}
