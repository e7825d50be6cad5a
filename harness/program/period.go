package program

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// PeriodVersion is what the client of the incident is made of, and says that it is: by the incident's report and the
// go.mod of go-micro v2.9.1, which requires those two versions.
const PeriodVersion = "github.com/micro/go-micro/v2 v2.9.1, github.com/coreos/etcd v3.3.18+incompatible, " +
	"google.golang.org/grpc v1.26.0"

// Period finds the client of the incident, the program of the module harness/period: go-micro over the etcd client that
// it was written against. It is built of the source in the repository that the working directory is in, when that is
// first asked for: 15 s of two cores and a network. say is told so before.
func Period(ctx context.Context, say func(string)) (Program, error) {
	s := source{name: "the client of the incident", base: "period", dir: "period", files: map[string][]byte{},
		check: isPeriod}
	if err := s.ofRepository("period"); err != nil {
		return Program{}, err
	}
	path, err := s.built(ctx, say)
	if err != nil {
		return Program{}, err
	}
	return Program{Path: path, Version: PeriodVersion}, isPeriod(ctx, path)
}

// ofRepository adds the files of a folder of the harness, in the repository that the working directory is in. A file
// takes the place of one of its name that another folder had.
func (s *source) ofRepository(folder string) error {
	top, err := Repository()
	if err != nil {
		return fmt.Errorf("%s cannot be built: %w", s.name, err)
	}
	for _, pattern := range []string{"*.go", "go.mod", "go.sum"} {
		all, _ := filepath.Glob(filepath.Join(top, "harness", folder, pattern)) // the pattern is well formed
		for _, file := range all {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			if s.files[filepath.Base(file)], err = os.ReadFile(file); err != nil {
				return fmt.Errorf("%s cannot be built: %w", s.name, err)
			}
		}
	}
	return nil
}

// isPeriod says why what stands at a path is not the client of the incident.
func isPeriod(ctx context.Context, path string) error {
	is, err := saysOf(ctx, path)
	if err == nil && is != PeriodVersion {
		err = fmt.Errorf("%s is not the client of the incident: asked for its version it says %q", path, is)
	}
	return err
}

// saysOf is what a program of ours says that it is.
func saysOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said, err := answer(ctx, path, "-version")
	if err != nil {
		return "", fmt.Errorf("%s cannot be run: %w", path, err)
	}
	return last(said, 1), nil
}

// Repository is the top of Ghostroute's repository that the working directory is in.
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		mod, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module ghostroute\n") {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not in Ghostroute's repository", dir)
		}
	}
}
