package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ghostroute/harness/dropin"
	"ghostroute/scenarios"
)

func (c *command) etcd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "etcd",
		Short: "Build an etcd whose grpc-proxy can have a cache that does not lie",
		Long: "Build etcd with the patches of fixtures/patches, and with the caches of harness/proxy/fresh, from which\n" +
			"grpc-proxy start has the flags --experimental-kv-cache, --experimental-kv-cache-max-staleness and\n" +
			"--experimental-kv-cache-max-bytes beside all that etcd's has. fixtures/patches/DROP-IN.md says when to use which.",
		Example: "  ghostroute etcd\n  ghostroute etcd --out /usr/local/bin",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := scenarios.Fixture("patches")
			if err != nil {
				return err
			}
			out, err := c.output("bin")
			if err != nil {
				return err
			}
			p, err := dropin.Build(cmd.Context(), filepath.Dir(filepath.Dir(at)), func(s string) {
				fmt.Fprintln(os.Stderr, "ghostroute: "+s)
			})
			if err != nil {
				return ended(cmd.Context(), err, "nothing was written")
			}
			file := filepath.Join(out.Dir, "etcd")
			if err := place(p.Path, file); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.out, "%s is etcd %s with the drop-in's grpc-proxy: %s grpc-proxy start --help\n",
				file, p.Version, file)
			return err
		},
	}
	cmd.Flags().StringVar(&c.dir, "out", "", "the folder for the program etcd; artifacts/bin where it is not given")
	return cmd
}

// place puts a copy of a program at a path, whole or not at all: what stands there may be running.
func place(program, path string) (err error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".etcd-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o755), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s was not written: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
