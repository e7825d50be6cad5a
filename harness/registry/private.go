package registry

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/micro/go-micro/v2/registry"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// exchangeClient puts client in the place of the etcd client that go-micro's registry/etcd made for itself, and returns
// that one.
//
// go-micro keeps its client in a private field, never closes it, and offers no way to hand it another: without this a
// registry could neither be ended nor be asked where an answer came from. The field's type is an alias of
// clientv3.Client (harness/compat), so it is the same type here. Reflection names what it does not find, so that
// another go-micro fails here and not in a read.
func exchangeClient(r registry.Registry, client *clientv3.Client) (*clientv3.Client, error) {
	v := reflect.ValueOf(r)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf(
			"go-micro's registry/etcd is a %T and no pointer to a struct: the harness was written for go-micro v2.9.1", r)
	}
	field := v.Elem().FieldByName("client")
	if !field.IsValid() || field.Type() != reflect.TypeOf(client) {
		return nil, fmt.Errorf(
			"go-micro's %T has no field client of type %T: the harness was written for go-micro v2.9.1", r, client)
	}
	place := (**clientv3.Client)(unsafe.Pointer(field.UnsafeAddr()))
	made := *place
	*place = client
	return made, nil
}
