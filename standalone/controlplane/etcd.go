package controlplane

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcd is the embedded store. It listens on sockets inside the state
// directory, named through an open descriptor of the directory because the
// path of a socket may only have about a hundred bytes.
type etcd struct {
	server   *embed.Etcd
	dir      *os.File
	endpoint string
	fatal    chan error
}

func startEtcd(ctx context.Context, s *state) (*etcd, error) {
	sockets := s.path("sockets")
	if err := os.MkdirAll(sockets, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of sockets: %w", err)
	}
	dir, err := os.Open(sockets)
	if err != nil {
		return nil, fmt.Errorf("open directory of sockets: %w", err)
	}
	e := &etcd{dir: dir, fatal: make(chan error, 1)}
	socket := func(name string) url.URL {
		return url.URL{Scheme: "unix", Path: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)}
	}
	client, peer := socket("etcd"), socket("peer")
	e.endpoint = client.String()

	cfg := embed.NewConfig()
	cfg.Name = "standalone"
	cfg.Dir = s.path("etcd")
	cfg.ListenClientUrls, cfg.ListenPeerUrls = []url.URL{client}, []url.URL{peer}
	// Addresses for members and clients that never come: etcd wants a host and
	// a port here, and nobody dials them.
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "localhost:2379"}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "localhost:2380"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger(e.fatal))
	// A laptop's cluster is small: less history in memory, and a quota that a
	// runaway writer meets before the disk is full.
	cfg.SnapshotCount = 2000
	cfg.SnapshotCatchUpEntries = 500
	cfg.QuotaBackendBytes = 1 << 30
	cfg.WarningUnaryRequestDuration = time.Second
	// A single member elects itself; waiting a full election time-out for
	// other candidates would only delay the start.
	cfg.TickMs, cfg.ElectionMs = 20, 200

	started := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				started <- fmt.Errorf("etcd data in %s cannot be used: %v", cfg.Dir, p)
			}
		}()
		server, err := embed.StartEtcd(cfg)
		e.server = server
		started <- err
	}()
	select {
	case err = <-started:
	case err = <-e.fatal:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-e.server.Server.ReadyNotify():
		return e, nil
	case err = <-e.server.Err():
	case err = <-e.fatal:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	e.close()
	return nil, fmt.Errorf("start etcd: %w", err)
}

// close returns when everything is on disk. The listeners close behind it:
// kube-apiserver never closes its watches of etcd, and a graceful end would
// wait five seconds for that.
func (e *etcd) close() {
	e.server.Server.Stop()
	go func() {
		e.server.Close()
		e.dir.Close()
	}()
}
