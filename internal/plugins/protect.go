package plugins

import (
	"fmt"
	"runtime/debug"
)

// PanicError is what a handler that panicked is taken to have returned.
type PanicError struct {
	Value any
	Stack string
}

func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Protect turns a panic into a *PanicError.
func Protect(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{p, string(debug.Stack())}
		}
	}()
	return run()
}
