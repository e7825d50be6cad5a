// Package goid tells goroutines apart.
package goid

// ID is a goroutine's: no two that live at the same time have the same. When one has ended, another may get its ID.
type ID uintptr

// Current is the ID of the calling goroutine.
//
// go-micro's registry and its API router take no context, and net/http/httputil logs to the process's one logger:
// nothing that they do can be told from what they do for another caller, but by the goroutine that does it. That they
// stay on their caller's goroutine is what makes this exact.
//
// The ID is the address of the runtime's record of the goroutine, which a register or a slot of the thread has at hand.
// The number that runtime.Stack prints would do too, and does where neither is known (other.go): but Stack walks up to
// a hundred frames whatever it is asked to write, and took a twentieth of the matrix' time.
func Current() ID { return current() }
