package ghproxy

import (
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/service"
)

// diskGauges tell how full the file system of the cache is.
type diskGauges struct {
	dir                              string
	free, used, total                prometheus.Gauge
	nodesFree, nodesUsed, nodesTotal prometheus.Gauge
}

func newDiskGauges(p *Proxy, o *Options) *diskGauges {
	if o.CacheDir == "" {
		return nil
	}
	gauge := func(name, help string) prometheus.Gauge {
		return service.Register(p.registry, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
	}
	return &diskGauges{
		dir:  o.CacheDir,
		free: gauge("ghcache_disk_free", "Free GB on the file system of the cache."), used: gauge("ghcache_disk_used", "Used GB there."), total: gauge("ghcache_disk_total", "GB there."),
		nodesFree: gauge("ghcache_disk_inode_free", "Free inodes there."), nodesUsed: gauge("ghcache_disk_inode_used", "Used inodes there."), nodesTotal: gauge("ghcache_disk_inode_total", "Inodes there."),
	}
}

func (d *diskGauges) observe() {
	var s syscall.Statfs_t
	if d == nil || syscall.Statfs(d.dir, &s) != nil {
		return
	}
	const gb = 1e9
	block := float64(s.Bsize)
	d.free.Set(float64(s.Bfree) * block / gb)
	d.used.Set(float64(s.Blocks-s.Bfree) * block / gb)
	d.total.Set(float64(s.Blocks) * block / gb)
	d.nodesFree.Set(float64(s.Ffree))
	d.nodesUsed.Set(float64(s.Files - s.Ffree))
	d.nodesTotal.Set(float64(s.Files))
}
