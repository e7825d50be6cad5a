package notebook

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"ghostroute/harness/history"
)

func putCommand() Command {
	return Command{
		Name:    "put",
		Theme:   "Change",
		Does:    "Somebody writes a key into etcd: a key and value of your own, or the registration of an instance as it last was.",
		Example: "put m1 instance=v1-a",
		Args: []Arg{
			{Name: "who", Kind: asker()},
			{Name: "instance", Kind: anInstance(), Named: true, Optional: true, Says: "whose registration to write again, without a lease"},
			{Name: "key", Kind: aText(), Named: true, Optional: true},
			{Name: "value", Kind: aText(), Named: true, Optional: true},
		},
		act: true,
		run: func(c *call) error {
			key, value, err := c.pair()
			if err != nil {
				return err
			}
			return c.write(c.one("who"), history.Write{Op: "put", Key: key}, "written", func(kv pb.KVClient, opts ...grpc.CallOption) (interface{ GetHeader() *pb.ResponseHeader }, error) {
				return kv.Put(c.ctx(), &pb.PutRequest{Key: []byte(key), Value: []byte(value)}, opts...)
			})
		},
	}
}

// pair is the key and value that the arguments describe.
func (c *call) pair() (key, value string, err error) {
	id := c.one("instance")
	if (id == "") == (c.one("key") == "") {
		return "", "", c.wrong("say one of instance= and key=")
	}
	if id == "" {
		return c.one("key"), c.one("value"), nil
	}
	key = c.b().Instance(id).Key()
	for _, e := range c.b().History.Events() {
		if e.Commit != nil && e.Commit.Key == key && e.Commit.Op == "put" {
			value = e.Commit.Value
		}
	}
	if value == "" {
		return "", "", fmt.Errorf("%s was never registered", id)
	}
	return key, value, nil
}
