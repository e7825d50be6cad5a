package notebook

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"ghostroute/harness/history"
)

func txnCommand() Command {
	return Command{
		Name:    "txn",
		Theme:   "Change",
		Does:    "Somebody deletes the keys of instances in a transaction: all of them at one revision, or none.",
		Example: "txn m1 delete=(v1-a, v1-b)",
		Args: []Arg{
			{Name: "who", Kind: asker()},
			{Name: "delete", Kind: anInstance(), Named: true, Many: true},
		},
		act: true,
		run: func(c *call) error {
			req := &pb.TxnRequest{}
			w := history.Write{Op: "txn"}
			for _, id := range c.all("delete") {
				key := c.b().Instance(id).Key()
				c.nb.left(id)
				if w.Key == "" {
					w.Key = key
				}
				req.Success = append(req.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
					RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key)}}})
			}
			return c.write(c.one("who"), w, "deleted in a transaction", func(kv pb.KVClient, opts ...grpc.CallOption) (interface{ GetHeader() *pb.ResponseHeader }, error) {
				return kv.Txn(c.ctx(), req, opts...)
			})
		},
	}
}
