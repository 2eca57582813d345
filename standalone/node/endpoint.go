package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"prow/standalone/node/logfile"
)

// serve is the part of a kubelet's API that kubectl logs needs. Who may connect
// is decided by the TLS configuration.
func serve(ctx context.Context, l net.Listener, config *tls.Config, p *provider) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", p.serveLogs)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // followers end with the node
		ErrorLog:          slog.NewLogLogger(p.opts.Logger.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(tls.NewListener(l, config)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve logs: %w", err)
	}
	return nil
}

func (p *provider) serveLogs(w http.ResponseWriter, req *http.Request) {
	opts, previous, err := logOptions(req.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	namespace, name, cname := req.PathValue("namespace"), req.PathValue("pod"), req.PathValue("container")
	pod, err := p.lister.Pods(namespace).Get(name)
	if err != nil {
		http.Error(w, fmt.Sprintf("pod %q not found", name), http.StatusNotFound)
		return
	}
	dir, live, err := p.findLog(pod, cname, previous)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	var out io.Writer = w
	if opts.Follow {
		out = flushWriter{w, http.NewResponseController(w)}
		// The follower must see at once that the stream has begun.
		_ = http.NewResponseController(w).Flush()
	}
	if err := logfile.Read(req.Context(), dir, live, out, opts); err != nil && req.Context().Err() == nil {
		p.opts.Logger.Warn("Log cannot be read", "pod", name, "namespace", namespace, "container", cname, "error", err)
	}
}

// findLog is the directory of a container's log, and the log while it grows.
func (p *provider) findLog(pod *corev1.Pod, cname string, previous bool) (string, *logfile.Log, error) {
	p.mu.Lock()
	r := p.runners[pod.UID]
	p.mu.Unlock()
	if r == nil {
		r = newRunner(p, pod) // of an earlier process; only its paths are used
	}
	c := r.container(cname)
	if c == nil {
		return "", nil, fmt.Errorf("container %q not found in pod %q", cname, pod.Name)
	}
	restart, live := c.lastRun()
	if previous {
		restart, live = restart-1, nil
	}
	dir := c.logDir(max(restart, 0))
	if _, err := os.Stat(dir); restart < 0 || err != nil {
		if previous {
			return "", nil, fmt.Errorf("previous terminated container %q in pod %q not found", cname, pod.Name)
		}
		if s := c.snapshot().State.Waiting; s != nil {
			return "", nil, fmt.Errorf("container %q in pod %q is waiting to start: %s", cname, pod.Name, s.Reason)
		}
		return "", nil, fmt.Errorf("container %q in pod %q has no log", cname, pod.Name)
	}
	return dir, live, nil
}

// container finds a container by name.
func (r *runner) container(name string) *container {
	for _, list := range [][]*container{r.init, r.containers} {
		for _, c := range list {
			if c.spec.Name == name {
				return c
			}
		}
	}
	return nil
}

// lastRun is the number of the newest run that has a log, and its log if it may
// still grow. While a restart is due, that is the run before.
func (c *container) lastRun() (int, *logfile.Log) {
	c.mu.Lock()
	live := c.live
	c.mu.Unlock()
	for n := 0; ; n++ {
		if _, err := os.Stat(c.logDir(n)); err != nil {
			if live != nil && live.Dir() != c.logDir(n-1) {
				live = nil
			}
			return n - 1, live
		}
	}
}

// logOptions reads the query of the API's pod log options.
func logOptions(q url.Values, now time.Time) (opts logfile.ReadOptions, previous bool, err error) {
	opts = logfile.ReadOptions{Tail: -1, Limit: -1}
	flag := func(name string) (out bool) {
		if v := q.Get(name); v != "" && err == nil {
			if out, err = strconv.ParseBool(v); err != nil {
				err = fmt.Errorf("%s: %q is not a boolean", name, v)
			}
		}
		return out
	}
	number := func(name string, least int64, set func(int64)) {
		if v := q.Get(name); v != "" && err == nil {
			n, perr := strconv.ParseInt(v, 10, 64)
			if perr != nil || n < least {
				err = fmt.Errorf("%s: %q is not a number of at least %d", name, v, least)
				return
			}
			set(n)
		}
	}
	opts.Follow, opts.Timestamps, previous = flag("follow"), flag("timestamps"), flag("previous")
	number("tailLines", 0, func(n int64) { opts.Tail = n })
	number("limitBytes", 1, func(n int64) { opts.Limit = n })
	number("sinceSeconds", 1, func(n int64) { opts.Since = now.Add(-time.Duration(min(n, 1<<31)) * time.Second) })
	if v := q.Get("sinceTime"); v != "" && err == nil {
		if opts.Since, err = time.Parse(time.RFC3339, v); err != nil {
			err = fmt.Errorf("sinceTime: %w", err)
		}
	}
	switch s := q.Get("stream"); s {
	case "", "All":
	case "Stdout":
		opts.Stream = "stdout"
	case "Stderr":
		opts.Stream = "stderr"
	default:
		return opts, previous, fmt.Errorf("stream: %q is unknown", s)
	}
	return opts, previous, err
}

// flushWriter sends every line on its way at once.
type flushWriter struct {
	w  io.Writer
	rc *http.ResponseController
}

func (f flushWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}
