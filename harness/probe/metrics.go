package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// counts are what a proxy says of its cache at /proxy/metrics, on the port it serves (server/proxy/grpcproxy/
// metrics.go). Reading them touches nothing. /proxy/health is never asked: it reads "a" through the cache.
type counts struct {
	hits, misses, entries int64
}

// gauge reads the counts of one proxy.
type gauge struct {
	url    string
	client *http.Client
}

func newGauge(addr string, secure *tls.Config, timeout time.Duration) *gauge {
	scheme, host, found := strings.Cut(addr, "://")
	t := &http.Transport{MaxIdleConnsPerHost: 1}
	switch {
	case !found && strings.HasPrefix(addr, "unix:"), scheme == "unix", scheme == "unixs":
		path := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(addr, "unixs:"), "unix:"), "//")
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		scheme, host = "http", "localhost"
	case !found:
		scheme, host = "http", addr
		if secure != nil {
			scheme = "https"
		}
	}
	if scheme == "https" && secure != nil {
		t.TLSClientConfig = secure.Clone()
	}
	return &gauge{url: scheme + "://" + host + "/proxy/metrics", client: &http.Client{Transport: t, Timeout: timeout}}
}

func (g *gauge) close() { g.client.CloseIdleConnections() }

// read is an error for what is no grpc-proxy, and for one whose metrics cannot be reached.
func (g *gauge) read(ctx context.Context) (c counts, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		return c, err
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c, fmt.Errorf("%s answers %s", g.url, resp.Status)
	}
	want := map[string]*int64{"etcd_grpc_proxy_cache_hits_total": &c.hits, "etcd_grpc_proxy_cache_misses_total": &c.misses,
		"etcd_grpc_proxy_cache_keys_total": &c.entries}
	found := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if at := want[name]; at != nil {
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return c, fmt.Errorf("%s says %q", g.url, lines.Text())
			}
			*at = int64(f)
			found++
		}
	}
	if found < len(want) {
		return c, fmt.Errorf("%s does not count its cache", g.url)
	}
	return c, nil
}
