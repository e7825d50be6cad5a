package program

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// modules has a go.mod and a go.sum for each release that is built. They are data to this module, which must not
// require etcd more than once: a module of its own is made of them in the cache folder. "go install …@v3.7.3" does not
// do, since etcd's go.mod has replace directives. To add a release, in an empty folder, and the same for etcdctl:
//
//	go mod init ghostroute/etcd; go get go.etcd.io/etcd/server/v3@vX; go mod tidy -e     (with main.go below in it)
//
//go:embed modules
var modules embed.FS

// Patch is a change of the server module of a release.
type Patch struct {
	Name  string                                         // "drop-in"
	Of    string                                         // the release's name, "3.7.3"
	Is    []byte                                         // what it consists of: with other bytes it is another program
	Apply func(ctx context.Context, module string) error // changes a copy of the module in that folder
}

// patched is the module that a Patch changes.
const patched = "go.etcd.io/etcd/server/v3"

// Patched finds a release with a patch, as Find finds one without. Its Git SHA is the patch's name and a digest.
func Patched(ctx context.Context, p Patch, say func(string)) (Program, error) {
	r, err := named(p.Of)
	if err != nil {
		return Program{}, err
	}
	s, err := server.of(r, &p)
	if err != nil {
		return Program{}, err
	}
	path, err := s.built(ctx, say)
	if err != nil {
		return Program{}, err
	}
	return server.at(ctx, r, path)
}

// source is a program that is built once and kept: the files of its module, and what it must be.
type source struct {
	name  string            // "etcd 3.7.3"
	base  string            // of its file in the cache folder: "etcd"
	dir   string            // of its own there: "etcd-3.7.3"
	files map[string][]byte // by name
	patch *Patch            // nil for none
	check func(ctx context.Context, path string) error
}

// of is the source of a release's, patched if there is a patch.
func (t tool) of(r Release, p *Patch) (source, error) {
	mod, err := modules.ReadFile("modules/" + t.name + "-" + r.Name + ".mod")
	sum, serr := modules.ReadFile("modules/" + t.name + "-" + r.Name + ".sum")
	if err = errors.Join(err, serr); err != nil {
		err = fmt.Errorf("%s %s cannot be built: %w", t.name, r.Name, err)
	}
	name := r.Name
	if p != nil {
		name += "-" + p.Name
	}
	return source{name: t.name + " " + name, base: t.name, dir: t.name + "-" + name, patch: p,
		files: map[string][]byte{"go.mod": mod, "go.sum": sum, "main.go": []byte(t.main)},
		check: func(ctx context.Context, path string) error {
			_, err := t.at(ctx, r, path)
			return err
		}}, err
}

// built is the path of a program in the cache folder, where it is built unless it is there. A program that is there has
// said once that it is what it must be; what was built and says otherwise is not kept.
func (s source) built(ctx context.Context, say func(string)) (path string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%s cannot be built: %w", s.name, err)
	}
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		hash.Write(s.files[name])
	}
	if s.patch != nil {
		hash.Write(s.patch.Is)
	}
	digest := fmt.Sprintf("%x", hash.Sum(nil))[:8]
	dir := filepath.Join(cache, "ghostroute", s.dir)
	path = filepath.Join(dir, s.base+"-"+digest) // other dependencies are another program
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("there is no folder for %s: %w", s.name, err)
	}
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", fmt.Errorf("there is no folder to build %s in: %w", s.name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	for name, content := range s.files {
		if err := os.WriteFile(filepath.Join(work, name), content, 0o644); err != nil {
			return "", err
		}
	}
	if say != nil {
		say(s.name + " is built, once: a minute or two")
	}
	flags := "-s -w"
	if s.patch != nil {
		if err := s.patch.into(ctx, work); err != nil {
			return "", fmt.Errorf("%s was not built: %w", s.name, err)
		}
		flags += " -X go.etcd.io/etcd/api/v3/version.GitSHA=" + s.patch.Name + "-" + digest
	}
	made := filepath.Join(work, s.base)
	if _, err := goIn(ctx, work, "build", "-p", "2", "-trimpath", "-ldflags="+flags, "-o", made, "."); err != nil {
		return "", fmt.Errorf("%s was not built: %w", s.name, err)
	}
	if err := s.check(ctx, made); err != nil {
		return "", fmt.Errorf("what was built is not kept: %w", err)
	}
	return path, os.Rename(made, path) // two builds at once are the same program twice
}

// into puts a copy of the server module with the patch into the folder of a build.
func (p *Patch) into(ctx context.Context, work string) error {
	at, err := goIn(ctx, work, "mod", "download", "-json", patched)
	var in struct{ Dir string }
	if err == nil {
		err = json.Unmarshal([]byte(at), &in)
	}
	module := filepath.Join(work, "server")
	if err == nil {
		err = os.CopyFS(module, os.DirFS(in.Dir))
	}
	if err == nil {
		err = p.Apply(ctx, module)
	}
	if err == nil {
		_, err = goIn(ctx, work, "mod", "edit", "-replace", patched+"=./server")
	}
	return err
}

// goIn runs the go command on the module in a folder, and returns what it puts out.
func goIn(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// The caller's flags are about the caller's module.
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	said := out.String() + errs.String()
	switch {
	case err == nil:
		return out.String(), nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("it takes Go, and there is no command go: %w", err)
	}
	hint := ""
	for _, sign := range []string{"dial tcp", "no such host", "connection refused", "i/o timeout"} {
		if strings.Contains(said, sign) {
			hint = " (its modules are downloaded the first time, and the network did not answer)"
			break
		}
	}
	return "", fmt.Errorf("%w%s; the last that go %s said:\n%s", err, hint, args[0], last([]byte(said), 20))
}
