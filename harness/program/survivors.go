package program

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"ghostroute/harness/text"
)

// LaterGoMicros are the versions of go-micro after v2 that Survivors knows.
func LaterGoMicros() []string { return []string{"v3", "v4", "v5"} }

// Survivors finds the program harness/survivors over a later go-micro, which the go.mod in the folder of that name
// pins: Version is what it was built with. It is built as Period is.
func Survivors(ctx context.Context, of string, say func(string)) (Program, error) {
	if !slices.Contains(LaterGoMicros(), of) {
		return Program{}, fmt.Errorf("there are no survivors of go-micro %q; it may be %s", of, text.Or(LaterGoMicros()))
	}
	s := source{name: "survivors of go-micro " + of, base: "survivors", dir: "survivors-" + of, files: map[string][]byte{},
		check: func(ctx context.Context, path string) error {
			_, err := saysOf(ctx, path)
			return err
		}}
	for _, folder := range []string{"survivors", filepath.Join("survivors", of)} {
		if err := s.ofRepository(folder); err != nil {
			return Program{}, err
		}
	}
	path, err := s.built(ctx, say)
	if err != nil {
		return Program{}, err
	}
	version, err := saysOf(ctx, path)
	return Program{Path: path, Version: version}, err
}
