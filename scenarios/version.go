package scenarios

import (
	"runtime/debug"
)

// Versions are what the program is built with. A module that a changed copy takes the place of says so.
type Versions struct {
	Etcd    string `json:"etcd"`
	GoMicro string `json:"go_micro"`
	Go      string `json:"go"`
}

// BuiltWith reads the versions out of the running program.
func BuiltWith() (v Versions) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	for _, m := range info.Deps {
		version := m.Version
		if m.Replace != nil {
			version += ", replaced by a changed copy"
		}
		switch m.Path {
		case "go.etcd.io/etcd/server/v3":
			v.Etcd = version
		case "github.com/micro/go-micro/v2":
			v.GoMicro = version
		}
	}
	return v
}
