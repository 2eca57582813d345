//go:build linux

package hostexec

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
)

// spawner starts processes from one thread that lives as long as the program.
// A process with a parent death signal dies when the thread that started it
// ends, and Go ends threads as it likes.
type spawner struct {
	requests chan spawnRequest
	closed   chan struct{}
	once     sync.Once
}

type spawnRequest struct {
	cmd  *exec.Cmd
	done chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest), closed: make(chan struct{})}
	go func() {
		// Never unlocked: the thread ends with this goroutine, and with the
		// thread whatever it has started.
		runtime.LockOSThread()
		for {
			select {
			case r := <-s.requests:
				r.done <- r.cmd.Start()
			case <-s.closed:
				return
			}
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawnRequest{cmd: cmd, done: make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.done
	case <-s.closed:
		return errors.New("the executor is closed")
	}
}

func (s *spawner) close() { s.once.Do(func() { close(s.closed) }) }
