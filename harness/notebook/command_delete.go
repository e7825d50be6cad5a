package notebook

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"ghostroute/harness/history"
)

func deleteCommand() Command {
	return Command{
		Name:    "delete",
		Theme:   "Change",
		Does:    "Somebody deletes a key from etcd: an instance's, or one of your own, or every key that begins so. The instance itself runs on.",
		Example: "delete m1 instance=v1-a",
		Args: []Arg{
			{Name: "who", Kind: asker()},
			{Name: "instance", Kind: anInstance(), Named: true, Optional: true},
			{Name: "key", Kind: aText(), Named: true, Optional: true},
			{Name: "prefix", Kind: aText(), Named: true, Optional: true},
		},
		act: true,
		run: func(c *call) error {
			var op clientv3.Op
			switch {
			case c.has("instance"):
				op = clientv3.OpDelete(c.b().Instance(c.one("instance")).Key())
				c.nb.left(c.one("instance"))
			case c.has("key"):
				op = clientv3.OpDelete(c.one("key"))
			case c.has("prefix"):
				op = clientv3.OpDelete(c.one("prefix"), clientv3.WithPrefix())
			default:
				return c.wrong("say one of instance=, key= and prefix=")
			}
			w := history.Write{Op: "delete", Key: string(op.KeyBytes()), End: string(op.RangeBytes())}
			return c.write(c.one("who"), w, "deleted", func(kv pb.KVClient, opts ...grpc.CallOption) (interface{ GetHeader() *pb.ResponseHeader }, error) {
				return kv.DeleteRange(c.ctx(), &pb.DeleteRangeRequest{Key: op.KeyBytes(), RangeEnd: op.RangeBytes()}, opts...)
			})
		},
	}
}
