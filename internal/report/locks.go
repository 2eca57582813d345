package report

import (
	"context"
	"sync"
)

// Locks serialise work on things that have names, such as the comments of one
// pull request. A name nobody holds or waits for takes no memory. The zero value
// is ready.
type Locks struct {
	mu    sync.Mutex
	locks map[string]*nameLock
}

type nameLock struct {
	ch    chan struct{}
	users int
}

// Lock waits until the name is free, or returns the error of ctx.
func (l *Locks) Lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mu.Lock()
	if l.locks == nil {
		l.locks = map[string]*nameLock{}
	}
	p := l.locks[name]
	if p == nil {
		p = &nameLock{ch: make(chan struct{}, 1)}
		l.locks[name] = p
	}
	p.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if p.users--; p.users == 0 {
			delete(l.locks, name)
		}
	}
	select {
	case p.ch <- struct{}{}:
		return func() { <-p.ch; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
