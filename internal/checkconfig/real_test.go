package checkconfig

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prow/internal/config"
	"prow/internal/plugins/pluginconfig"
)

// realOptions are those of the installation whose configuration is in
// PROW_REAL_CONFIG.
func realOptions(tb testing.TB) *Options {
	root := os.Getenv("PROW_REAL_CONFIG")
	if root == "" {
		tb.Skip("PROW_REAL_CONFIG is not set: the real configuration is NOT tested")
	}
	o := &Options{
		Config: config.DefaultOptions(), Plugins: pluginconfig.Options{Path: filepath.Join(root, "config", "plugins.yaml")}, Output: outputText,
		IncludeDefaultWarnings: true, Warnings: []string{unknownFieldsAll},
	}
	o.Config.ConfigPath, o.Config.JobConfigPath = filepath.Join(root, "config", "config.yaml"), filepath.Join(root, "jobs")
	if err := o.Validate(); err != nil {
		tb.Fatal(err)
	}
	return o
}

func TestTheRealConfigurationPassesWhatItsOwnersAskOfIt(t *testing.T) {
	o := realOptions(t)
	o.Strict = true
	o.ExcludeWarnings = []string{"mismatched-tide", "long-job-names", "periodic-default-clone-config"}
	var out strings.Builder
	if err := Run(t.Context(), Env{Stdout: &out, Stderr: io.Discard}, o); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// cpu is the time this process has spent on its processors.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRealConfiguration runs all default checks and unknown-fields-all. A
// run may take two seconds of processor time.
func BenchmarkRealConfiguration(b *testing.B) {
	o := realOptions(b)
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if err := Run(b.Context(), Env{Stdout: io.Discard, Stderr: io.Discard}, o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N), "cpu-s/op")
}
