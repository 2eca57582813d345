package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"prow/internal/kube/kubetest"
	"prow/test/installation"
)

// startLimit bounds the time until a program is ready.
const startLimit = 5 * time.Minute

// process is a component of an installation as a process of its own. It reaches
// the API server through a proxy that counts its requests.
type process struct {
	name    string
	cmd     *exec.Cmd
	proxy   *kubetest.Proxy
	metrics int
	log     string
	// ready is how long it took from the start until it was.
	ready time.Duration
}

// startProcess runs a component without dry-run and with leader election, as in a
// cluster, and waits until it is ready.
func startProcess(ctx context.Context, b *testing.B, cluster *kubetest.Cluster, config, name string, args ...string) *process {
	b.Helper()
	p := &process{name: name, proxy: cluster.Proxy(b), metrics: freePort(b), log: filepath.Join(b.TempDir(), name+".log")}
	health := freePort(b)
	p.cmd = exec.CommandContext(ctx, filepath.Join(installation.Programs(b), "prow"), append([]string{
		name, "--dry-run=false", "--config-path=" + config, "--kubeconfig=" + p.proxy.KubeconfigPath, "--no-in-cluster-config",
		"--metrics-port=" + strconv.Itoa(p.metrics), "--health-port=" + strconv.Itoa(health), "--pprof-port=" + strconv.Itoa(number("PROW_BENCH_PPROF_PORT", 0)),
	}, args...)...)
	log, err := os.Create(p.log)
	must(b, err)
	defer log.Close() //nolint:errcheck // the process has its own
	p.cmd.Stderr = log
	begun := time.Now()
	must(b, p.cmd.Start())
	b.Cleanup(func() { _ = p.cmd.Process.Kill() })
	for deadline := begun.Add(startLimit); ; <-time.After(20 * time.Millisecond) {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz/ready", health))
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				p.ready = time.Since(begun)
				return p
			}
		}
		if time.Now().After(deadline) {
			p.fail(b, "is not ready")
		}
	}
}

func (p *process) fail(b *testing.B, what string) {
	b.Helper()
	raw, _ := os.ReadFile(p.log)
	b.Fatalf("%s %s: %s", p.name, what, raw[max(0, len(raw)-3000):])
}

// end tells the process to end and waits for it.
func (p *process) end(b *testing.B) {
	b.Helper()
	must(b, p.cmd.Process.Signal(syscall.SIGTERM))
	if err := p.cmd.Wait(); err != nil {
		p.fail(b, "ended with "+err.Error())
	}
}

// report tells the figures that all components have, and ends the process.
func (p *process) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(p.ready.Seconds(), "ready-s")
	b.ReportMetric(p.memory(b), "rss-MB")
	p.end(b)
	b.ReportMetric((p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds(), "cpu-s")
	b.ReportMetric(float64(len(p.proxy.Requests())), "requests")
}

// lines are the lines of its metrics.
func (p *process) lines(b *testing.B) []string {
	b.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", p.metrics))
	must(b, err)
	defer resp.Body.Close() //nolint:errcheck // only read
	var lines []string
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// until waits until a metric without labels has a value, and returns it.
func (p *process) until(b *testing.B, metric string, met func(float64) bool) float64 {
	b.Helper()
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		for _, line := range p.lines(b) {
			if rest, ok := strings.CutPrefix(line, metric+" "); ok {
				if v, err := strconv.ParseFloat(rest, 64); err == nil && met(v) {
					return v
				}
			}
		}
	}
	p.fail(b, "does not tell "+metric)
	return 0
}

// memory is the most that was resident so far, in MB. What the system accounts for
// when the process has ended includes what its parent had.
func (p *process) memory(b *testing.B) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(b, err)
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			must(b, err)
			return kb / 1024
		}
	}
	b.Fatal("no VmHWM")
	return 0
}

func freePort(b testing.TB) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer l.Close() //nolint:errcheck // the port is what counts
	return l.Addr().(*net.TCPAddr).Port
}

func must(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// metricSum adds the values of a metric's lines that contain a text.
func metricSum(lines []string, name, with string) float64 {
	var sum float64
	for _, line := range lines {
		if strings.HasPrefix(line, name) && strings.Contains(line, with) {
			n, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			sum += n
		}
	}
	return sum
}

// quantile is the upper end of the bucket that a quantile falls into.
func quantile(lines []string, name string, q float64) float64 {
	total := metricSum(lines, name, `le="+Inf"`)
	for _, line := range lines {
		if !strings.HasPrefix(line, name) {
			continue
		}
		_, rest, _ := strings.Cut(line, `le="`)
		le, _, _ := strings.Cut(rest, `"`)
		if metricSum(lines, name, `le="`+le+`"`) >= q*total {
			n, _ := strconv.ParseFloat(le, 64)
			return n
		}
	}
	return 0
}
