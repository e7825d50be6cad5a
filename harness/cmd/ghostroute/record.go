package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/record"
	"ghostroute/harness/room"
	"ghostroute/harness/text"
)

func (c *command) record() *cobra.Command {
	var e etcdctl
	var listen, to, file string
	var during time.Duration
	cmd := &cobra.Command{
		Use:   "record",
		Short: "Stand between a client and a proxy, and write down what the client reads",
		Long: "Relay a client's gRPC to a proxy or a member, byte for byte, until it is interrupted, and write down what\n" +
			"it read: for ghostroute check-client, and for ghostroute probe --form-file. The client is given the\n" +
			"relay's address in place of the proxy's, and speaks plain text to it.",
		Example: "  ghostroute record --listen 127.0.0.1:2380 --to p1:23790 --out reads.txt\n" +
			"  ghostroute check-client reads.txt",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case to == "":
				return usagef("record wants --to, the endpoint that the client would be given")
			case during < 0:
				return usagef("--for is %v: it may be 1m", during)
			}
			if err := e.read(cmd, false); err != nil {
				return usage{err}
			}
			relay, err := record.Listen(cmd.Context(), listen, to, e.tls)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.out, "%s relays to %s\n", relay.Addr(), to)
			var over <-chan time.Time
			if during > 0 {
				over = time.After(during)
			}
			select {
			case <-cmd.Context().Done():
			case <-over:
			}
			relay.Close()
			reads := relay.Reads()
			if err := room.Write(file, func(w io.Writer) error { return record.Write(w, reads) }); err != nil {
				return err
			}
			calls := relay.Calls()
			made := text.Each(slices.Sorted(maps.Keys(calls)), func(m string) string { return fmt.Sprint(calls[m], " ", m) })
			_, err = fmt.Fprintf(c.out, "%s has %s; calls: %s\n", file, text.Count(len(reads), "read"), strings.Join(made, ", "))
			return err
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "where the client connects to")
	cmd.Flags().StringVar(&to, "to", "", "the proxy or member")
	cmd.Flags().StringVar(&file, "out", "reads.txt", "the file for what was read")
	cmd.Flags().DurationVar(&during, "for", 0, "end by itself after so long")
	e.addTLS(cmd)
	return cmd
}

func (c *command) checkClient() *cobra.Command {
	return &cobra.Command{
		Use:   "check-client FILE",
		Short: "Say which of a client's reads a proxy may answer from its cache",
		Long: "List the reads of a file that ghostroute record wrote, or of lines as one types them for etcdctl get, by\n" +
			"what a grpc-proxy does with them.\n\n" +
			"Exit codes:\n" +
			"  0    none of them may be answered from a cache\n" +
			"  1    some may\n" +
			"  128  the command line or the file is wrong",
		Example: "  ghostroute check-client reads.txt",
		Args:    oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return usage{err}
			}
			defer f.Close()
			reads, err := record.Parse(f)
			if err != nil {
				return usagef("%s: %w", args[0], err)
			}
			if err := record.List(c.out, reads); err != nil {
				return err
			}
			if n := record.Lying(reads); n > 0 {
				return foundf("%d of %s may be answered from a proxy's cache", n, text.Count(len(reads), "read"))
			}
			return nil
		},
	}
}
