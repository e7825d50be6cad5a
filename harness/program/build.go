package program

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// modules has a go.mod and a go.sum for each release that is built. They are data to this module, which must not
// require etcd more than once: a module of its own is made of them in the cache folder. "go install …@v3.7.3" does not
// do, since etcd's go.mod has replace directives. To add a release, in an empty folder:
//
//	go mod init ghostroute/etcd; go get go.etcd.io/etcd/server/v3@vX; go mod tidy     (with main.go below in it)
//
//go:embed modules
var modules embed.FS

// main is the program: etcd's own, which is no package main.
const main = `// Command etcd is the server of the version that go.mod names.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
`

// built is the path of a release in the cache folder, where it is built unless it is there. A program that is there has
// said once that it is that release; what was built and says otherwise is not kept.
func built(ctx context.Context, r Release, say func(string)) (path string, err error) {
	mod, merr := modules.ReadFile("modules/etcd-" + r.Name + ".mod")
	sum, serr := modules.ReadFile("modules/etcd-" + r.Name + ".sum")
	cache, cerr := os.UserCacheDir()
	if err := errors.Join(merr, serr, cerr); err != nil {
		return "", fmt.Errorf("etcd %s cannot be built: %w", r.Name, err)
	}
	digest := sha256.Sum256(slices.Concat(mod, sum, []byte(main)))
	dir := filepath.Join(cache, "ghostroute", "etcd-"+r.Name)
	path = filepath.Join(dir, fmt.Sprintf("etcd-%x", digest[:4])) // other dependencies are another program
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("there is no folder for etcd %s: %w", r.Name, err)
	}
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", fmt.Errorf("there is no folder to build etcd %s in: %w", r.Name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	for name, content := range map[string][]byte{"go.mod": mod, "go.sum": sum, "main.go": []byte(main)} {
		if err := os.WriteFile(filepath.Join(work, name), content, 0o644); err != nil {
			return "", err
		}
	}
	if say != nil {
		say(fmt.Sprintf("etcd %s is built, once: a minute or two", r.Name))
	}
	made := filepath.Join(work, "etcd")
	if err := compile(ctx, work, made); err != nil {
		return "", fmt.Errorf("etcd %s was not built: %w", r.Name, err)
	}
	if _, err := r.at(ctx, made); err != nil {
		return "", fmt.Errorf("what was built is not kept: %w", err)
	}
	return path, os.Rename(made, path) // two builds at once are the same program twice
}

// compile builds the module in a folder.
func compile(ctx context.Context, dir, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-p", "2", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = dir
	// The caller's flags are about the caller's module.
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("it takes Go, and there is no command go: %w", err)
	}
	hint := ""
	for _, sign := range []string{"dial tcp", "no such host", "connection refused", "i/o timeout"} {
		if strings.Contains(said.String(), sign) {
			hint = " (its modules are downloaded the first time, and the network did not answer)"
			break
		}
	}
	return fmt.Errorf("%w%s; the last that go build said:\n%s", err, hint, last(said.Bytes(), 20))
}
