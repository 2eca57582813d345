package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// listen opens the API server's port on loopback. A wanted port that is taken
// is an error; without a wish the port of the last start is tried first, so
// that kubeconfigs handed out earlier stay valid, and then any free one.
func (s *state) listen(ctx context.Context, wanted int) (net.Listener, error) {
	var lc net.ListenConfig
	open := func(port int) (net.Listener, error) {
		return lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	if wanted != 0 {
		l, err := open(wanted)
		if errors.Is(err, unix.EADDRINUSE) {
			return nil, fmt.Errorf("port %d of 127.0.0.1, wanted for the API server, is taken by another process: choose another port, or 0 for any free one", wanted)
		}
		if err != nil {
			return nil, fmt.Errorf("listen for the API server: %w", err)
		}
		return l, s.rememberPort(l)
	}
	last, err := s.lastPort()
	if err != nil {
		return nil, err
	}
	if last != 0 {
		if l, err := open(last); err == nil {
			return l, nil
		}
	}
	l, err := open(0)
	if err != nil {
		return nil, fmt.Errorf("listen for the API server: %w", err)
	}
	return l, s.rememberPort(l)
}

func (s *state) lastPort() (int, error) {
	raw, err := os.ReadFile(s.path("port"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read port of last start: %w", err)
	}
	port, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.path("port"), err)
	}
	return int(port), nil
}

func (s *state) rememberPort(l net.Listener) error {
	port := l.Addr().(*net.TCPAddr).Port
	if err := s.writeFile("port", []byte(strconv.Itoa(port)+"\n")); err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}
