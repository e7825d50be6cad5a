// Package dropin builds the etcd that an operator may start in place of etcd's own: the patches for etcd, and on top of
// them package fresh, from which grpc-proxy start has its flag --experimental-kv-cache.
package dropin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ghostroute/harness/patch"
	"ghostroute/harness/program"
)

// of is the release that is patched: the patches are made for it.
const of = "3.7.3"

// source is the drop-in as files of this repository.
type source struct {
	patches []patch.Patch     // the series, and last the one that has fresh used
	fresh   map[string][]byte // package fresh, by the files' names
	bytes   []byte            // all of it
}

// read reads the source. Package fresh is put into etcd as it is: there is one text of each cache.
func read(top string) (s source, err error) {
	at := filepath.Join(top, "fixtures", "patches")
	if s.patches, err = patch.ReadAll(at); err != nil {
		return s, err
	}
	b, err := os.ReadFile(filepath.Join(at, "drop-in.patch"))
	if err != nil {
		return s, err
	}
	last, err := patch.Parse("drop-in", string(b))
	if err != nil {
		return s, err
	}
	s.patches = append(s.patches, last)
	for _, p := range s.patches {
		s.bytes = append(s.bytes, p.Diff()...)
	}
	files, err := filepath.Glob(filepath.Join(top, "harness", "proxy", "fresh", "*.go"))
	if err != nil {
		return s, err
	}
	s.fresh = map[string][]byte{}
	for _, f := range files { // in the order of their names
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			return s, err
		}
		s.fresh[filepath.Base(f)] = b
		s.bytes = slices.Concat(s.bytes, []byte(filepath.Base(f)), b)
	}
	if len(s.fresh) == 0 {
		return s, fmt.Errorf("%s has no package fresh", top)
	}
	return s, nil
}

// into changes a copy of etcd's server module.
func (s source) into(ctx context.Context, module string) error {
	for _, p := range s.patches {
		if err := p.Apply(ctx, module); err != nil {
			return err
		}
	}
	dir := filepath.Join(module, "proxy", "grpcproxy", "fresh")
	err := os.MkdirAll(dir, 0o755)
	for name, b := range s.fresh {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	return err
}

// Build is the drop-in of the repository at top. It is built, unless it is there, in the user's cache folder, which say
// is told before.
func Build(ctx context.Context, top string, say func(string)) (program.Program, error) {
	s, err := read(top)
	if err != nil {
		return program.Program{}, err
	}
	p, err := program.Patched(ctx, program.Patch{Name: "drop-in", Of: of, Is: s.bytes, Apply: s.into}, say)
	p.Caches = err == nil
	return p, err
}
