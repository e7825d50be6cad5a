package registry

import (
	"fmt"

	"github.com/micro/go-micro/v2/registry"

	"ghostroute/harness/history"
)

// watcher is go-micro's, but that it fails where go-micro's panics.
//
// registry/etcd/watcher.go takes the value before a delete without asking whether there is one, and there is none once
// the revision before it has been compacted. The process would end; here that would be the whole bench. So the panic is
// an error of Next, after which go-micro's router and cache watch anew, and a fault in the history.
type watcher struct {
	registry.Watcher
	cfg *Config
}

func (w *watcher) Next() (result *registry.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("go-micro's watcher panicked: %v", p)
			w.cfg.History.Add(history.Event{Who: w.cfg.Client, Fault: &history.Fault{
				Kind: history.Panic, Op: history.Fire, Target: w.cfg.Client, RPC: "Watch", Detail: err.Error(),
			}})
		}
	}()
	return w.Watcher.Next()
}
