package config

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
)

// realConfig returns the options of a large real configuration: a directory
// with config/config.yaml and jobs/.
func realConfig(tb testing.TB) Options {
	tb.Helper()
	root := os.Getenv("PROW_REAL_CONFIG")
	if root == "" {
		tb.Skip("PROW_REAL_CONFIG is not set: the real configuration is NOT tested")
	}
	opts := DefaultOptions()
	opts.ConfigPath = filepath.Join(root, "config", "config.yaml")
	opts.JobConfigPath = filepath.Join(root, "jobs")
	return opts
}

func TestRealConfigurationLoads(t *testing.T) {
	c, err := Load(context.Background(), realConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	jobs := len(c.AllPresubmits()) + len(c.AllPostsubmits()) + len(c.Periodics)
	if jobs < 3000 {
		t.Errorf("found %d jobs, expected thousands", jobs)
	}
	t.Logf("%d jobs of %d repositories, %d warnings", jobs, len(c.AllRepos()), len(c.Warnings()))
	for i, w := range c.Warnings() {
		if i < 10 {
			t.Log(w)
		}
	}
}

// cpuTime is the CPU time of this process.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLoadReal loads everything from nothing, with defaults and
// validation. It reports the CPU time of a load, including the collector's,
// and the heap that is in use afterwards.
func BenchmarkLoadReal(b *testing.B) {
	opts := realConfig(b)
	var c *Config
	debug.FreeOSMemory()
	before := cpuTime(b)
	for b.Loop() {
		var err error
		if c, err = Load(b.Context(), opts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(m.HeapSys)/(1<<20), "heap-peak-MiB")
	runtime.KeepAlive(c)
}

// BenchmarkReloadOneFile loads again after one job file changed.
func BenchmarkReloadOneFile(b *testing.B) {
	opts := realConfig(b)
	root := b.TempDir()
	if err := os.CopyFS(root, os.DirFS(opts.JobConfigPath)); err != nil {
		b.Fatal(err)
	}
	opts.JobConfigPath = root
	var victim string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if info, e := d.Info(); err == nil && e == nil && !d.IsDir() && info.Size() > 5000 && info.Size() < 20000 && isYAML(path) {
			victim = path
		}
		return err
	})
	if err != nil || victim == "" {
		b.Fatal("no file to change: ", err)
	}
	if err := os.Chmod(victim, 0o644); err != nil {
		b.Fatal(err)
	}
	original, err := os.ReadFile(victim)
	if err != nil {
		b.Fatal(err)
	}
	l := NewLoader(opts)
	if _, err := l.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	before, n := cpuTime(b), 0
	for b.Loop() {
		n++
		changed := append([]byte(nil), original...)
		for range n % 1000 {
			changed = append(changed, '\n')
		}
		if err := os.WriteFile(victim, changed, 0o644); err != nil {
			b.Fatal(err)
		}
		if _, err := l.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
}

func BenchmarkTriggerMatch(b *testing.B) {
	c, err := Load(b.Context(), realConfig(b))
	if err != nil {
		b.Fatal(err)
	}
	jobs := c.PresubmitsStatic("kubernetes/kubernetes")
	b.ReportMetric(float64(len(jobs)), "jobs")
	b.ReportAllocs()
	for b.Loop() {
		for i := range jobs {
			jobs[i].TriggerMatches("This looks good.\n/test pull-kubernetes-unit\nThank you")
		}
	}
}

func BenchmarkRunDecisions(b *testing.B) {
	c, err := Load(b.Context(), realConfig(b))
	if err != nil {
		b.Fatal(err)
	}
	changes := []string{"pkg/kubelet/kubelet.go", "staging/src/k8s.io/api/core/v1/types.go", "README.md"}
	provider := func() ([]string, error) { return changes, nil }
	b.ReportAllocs()
	for b.Loop() {
		jobs := c.PresubmitsStatic("kubernetes/kubernetes")
		for i := range jobs {
			if _, err := jobs[i].ShouldRun("master", provider, false, false); err != nil {
				b.Fatal(err)
			}
		}
	}
}
