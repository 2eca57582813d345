package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"prow/internal/storage/s3"
	"prow/internal/storage/storagetest"
)

// build builds a program of this repository.
func build(t testing.TB, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), filepath.Base(name))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// sidecarJob is a finished run of a test with an S3 bucket to store it in.
type sidecarJob struct {
	dir    string
	server *storagetest.S3
}

func newJob(t testing.TB) *sidecarJob {
	t.Helper()
	j := &sidecarJob{dir: t.TempDir(), server: storagetest.NewS3(t)}
	j.server.Forget()
	config, err := json.Marshal(s3.Config{Endpoint: j.server.URL, Region: storagetest.S3Region, PathStyle: true, AccessKey: storagetest.S3AccessKey, SecretKey: storagetest.S3SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"service-account.json": string(config), "marker-file.txt": "0", "process-log.txt": "log\n", "secrets/token": "a-secret-of-some-length",
	} {
		j.write(t, name, content)
	}
	return j
}

func (j *sidecarJob) write(t testing.TB, name, content string) {
	t.Helper()
	file := filepath.Join(j.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sparse makes a file of zeros that takes no room.
func (j *sidecarJob) sparse(t testing.TB, name string, size int64) {
	t.Helper()
	j.write(t, name, "")
	if err := os.Truncate(filepath.Join(j.dir, name), size); err != nil {
		t.Fatal(err)
	}
}

func (j *sidecarJob) command(ctx context.Context, bin string) *exec.Cmd {
	path := func(name string) string { return filepath.Join(j.dir, name) }
	options := fmt.Sprintf(`{"gcs_options":{"items":[%q],"bucket":"s3://%s","path_strategy":"explicit","s3_credentials_file":%q,"dry_run":false},
		"entries":[{"args":["test"],"container_name":"test","process_log":%q,"marker_file":%q}],
		"censoring_options":{"secret_directories":[%q]}}`,
		path("artifacts"), storagetest.S3Bucket, path("service-account.json"), path("process-log.txt"), path("marker-file.txt"), path("secrets"))
	cmd := exec.CommandContext(ctx, bin)
	cmd.Env = []string{"SIDECAR_OPTIONS=" + options, `JOB_SPEC={"type":"periodic","job":"j","buildid":"1"}`, "HOME=" + j.dir, "TMPDIR=" + j.dir}
	return cmd
}

// peak watches a process until it ends, and returns the most memory it had
// resident, in bytes.
func peak(cmd *exec.Cmd, ended <-chan error) (int64, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	most := int64(0)
	for {
		select {
		case err := <-ended:
			return most, err
		case <-ticker.C:
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				if kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64); err == nil {
					most = max(most, kb<<10)
				}
			}
		}
	}
}

// 2,000 files and 2 GB in at most 64 MB of resident memory, censored, over HTTP.
func TestTwoThousandFilesAndTwoGigabytesInSixtyFourMegabytes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const (
		files     = 2000
		large     = 3
		total     = int64(2 << 30)
		mostBytes = 64 << 20
	)
	bin, j := build(t, "prow/cmd/sidecar"), newJob(t)
	for i := range files - large {
		j.sparse(t, fmt.Sprintf("artifacts/dir-%d/file-%d.txt", i%20, i), 200<<10)
	}
	for i := range large {
		j.sparse(t, fmt.Sprintf("artifacts/large-%d.bin", i), (total-int64(files-large)*(200<<10))/large+1)
	}
	cmd := j.command(t.Context(), bin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	most, err := peak(cmd, ended)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String()[max(0, stderr.Len()-4000):])
	}
	count, bytes := j.server.Totals()
	t.Logf("%d objects, %d bytes in %s, at most %.1f MiB resident", count, bytes, time.Since(start).Round(time.Millisecond), float64(most)/(1<<20))
	if count < files || bytes < total {
		t.Errorf("stored %d objects with %d bytes", count, bytes)
	}
	if most == 0 || most > mostBytes {
		t.Errorf("%d bytes were resident, more than %d", most, mostBytes)
	}
}
