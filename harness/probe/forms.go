package probe

import (
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness/text"
)

// Form is how a kind of client reads. A proxy finds an answer by the request's bytes (cache/store.go, keyFunc), so each
// request is what that client sends, byte for byte.
type Form struct {
	Name  string
	calls []call
}

// call is one kind of request: once for the prefix, or for each service or each key.
type call struct {
	name string
	per  string // "", service or key
	of   func(string) *pb.RangeRequest
}

// Names of the forms that there are.
const (
	FormGoMicro  = "go-micro" // ListServices and GetService
	FormRegister = "register" // go-micro's Register, which looks its own key up first
	FormEtcdctl  = "etcdctl"  // get, get --prefix, each also with --keys-only
	FormNaming   = "naming"   // etcd's gRPC resolver, client/v3/naming
	FormCilium   = "cilium"   // the first page of its lists; the pages after it name a revision and cannot be stale
)

func prefixed(prefix string, opts ...clientv3.OpOption) *pb.RangeRequest {
	return request(prefix, append(opts, clientv3.WithPrefix())...)
}

// request is what clientv3 sends for Get(key, opts…, WithSerializable()). What was read linearizably is filed as if it
// had been read serializably (kv.go, Range).
func request(key string, opts ...clientv3.OpOption) *pb.RangeRequest {
	op := clientv3.OpGet(key, opts...)
	r := &pb.RangeRequest{Key: op.KeyBytes(), Serializable: true, KeysOnly: op.IsKeysOnly(), CountOnly: op.IsCountOnly(),
		Limit: op.Limit()}
	if end := op.RangeBytes(); len(end) > 0 {
		r.RangeEnd = end
	}
	return r
}

// FormNamed is the form of that name.
func FormNamed(name string) (Form, error) {
	return text.Find("form", name, Forms(), func(f Form) string { return f.Name })
}

// Forms are those that there are, made once a call.
func Forms() []Form {
	in := func(key string) *pb.RangeRequest { return prefixed(key) }
	point := func(key string) *pb.RangeRequest { return request(key) }
	bare := clientv3.WithKeysOnly()
	only := func(key string) *pb.RangeRequest { return prefixed(key, bare) }
	return []Form{
		{FormGoMicro, []call{{"ListServices", "", in}, {"GetService", "service", in}}},
		{FormRegister, []call{{"Register", "key", point}}},
		{FormEtcdctl, []call{
			{"get --prefix", "", in}, {"get --prefix --keys-only", "", only},
			{"get --prefix", "service", in}, {"get --prefix --keys-only", "service", only},
			{"get", "key", point},
		}},
		// 3.5 and before asked for the target without a slash behind it.
		{FormNaming, []call{{"List", "service", in}, {"List of 3.5", "service",
			func(key string) *pb.RangeRequest { return prefixed(strings.TrimSuffix(key, "/")) }}}},
		{FormCilium, []call{
			{"list", "", func(key string) *pb.RangeRequest { return prefixed(key, clientv3.WithLimit(256)) }},
			{"list", "service", func(key string) *pb.RangeRequest { return prefixed(key, clientv3.WithLimit(256)) }},
		}},
	}
}

// ask is one request, whoever's clients send it.
type ask struct {
	calls   []string // "go-micro GetService"
	service string   // "" for one that is for the whole prefix
	req     *pb.RangeRequest
	bytes   string
}

func (a ask) key() string { return string(a.req.Key) }
func (a ask) end() string { return string(a.req.RangeEnd) }

// subjects is what requests are made for.
type subjects struct {
	prefix   string
	services []string // each one's whole prefix, "/micro/registry/greeter/"
	keys     []string // those that are, and those that were
	parts    bool     // nothing is asked for the whole prefix
}

// asks are the requests of these forms, each once, the broadest first: a list may name a service that is gone.
func (s subjects) asks(forms []Form) []ask {
	var all []ask
	at := map[string]int{}
	add := func(f Form, c call, each, service string) {
		r := c.of(each)
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		if err != nil {
			panic(err) // it is made of bytes and numbers
		}
		name := f.Name + " " + c.name
		if i, known := at[string(b)]; known {
			if !slices.Contains(all[i].calls, name) {
				all[i].calls = append(all[i].calls, name)
			}
			return
		}
		at[string(b)] = len(all)
		all = append(all, ask{calls: []string{name}, service: service, req: r, bytes: string(b)})
	}
	for _, per := range []string{"", "service", "key"} {
		for _, f := range forms {
			for _, c := range f.calls {
				switch {
				case c.per != per, per == "" && s.parts:
				case per == "":
					add(f, c, s.prefix, "")
				case per == "service":
					for _, service := range s.services {
						add(f, c, service, s.name(service))
					}
				default:
					for _, key := range s.keys {
						add(f, c, key, s.name(s.service(key)))
					}
				}
			}
		}
	}
	return all
}

// service is the prefix of the service that a key belongs to, "" where it names none.
func (s subjects) service(key string) string {
	rest, ok := strings.CutPrefix(key, s.prefix)
	begins := s.prefix
	if strings.HasPrefix(rest, "/") {
		begins, rest = begins+"/", rest[1:] // the prefix was given without its slash
	}
	name, _, deeper := strings.Cut(rest, "/")
	if !ok || !deeper {
		return ""
	}
	return begins + name + "/"
}

// name is what is between the prefix and the slash.
func (s subjects) name(service string) string {
	return strings.Trim(strings.TrimPrefix(service, s.prefix), "/")
}

// add takes more keys in, and their services.
func (s *subjects) add(more ...string) {
	for _, key := range more {
		if at, known := slices.BinarySearch(s.keys, key); !known {
			s.keys = slices.Insert(s.keys, at, key)
		}
		if service := s.service(key); service != "" {
			s.addService(service)
		}
	}
}

func (s *subjects) addService(service string) {
	if at, known := slices.BinarySearch(s.services, service); !known {
		s.services = slices.Insert(s.services, at, service)
	}
}

// Asked are the requests of a form, each as Line writes it, with the names of those who send it.
func Asked(f Form, prefix string, services, keys []string) map[string][]string {
	s := subjects{prefix: prefix, keys: keys}
	for _, service := range services {
		s.services = append(s.services, prefix+service+"/")
	}
	asked := map[string][]string{}
	for _, a := range s.asks([]Form{f}) {
		asked[Line(a.req)] = a.calls
	}
	return asked
}
