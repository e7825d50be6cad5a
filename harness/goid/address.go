//go:build amd64 || arm64

package goid

// current is in address_GOARCH.s.
func current() ID
