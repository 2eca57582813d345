package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prow/api/artifacts"
	"prow/internal/storage"
	"prow/internal/storage/gcs"
	"prow/internal/storage/providers"
	"prow/internal/storage/storagetest"
)

const presubmit = `{"type":"presubmit","job":"j","buildid":"b","refs":{"org":"org","repo":"repo","pulls":[{"number":1,"author":"a","sha":"head"}]}}`

// google is a GCS server with a file of credentials for it, and its bucket.
func google(t *testing.T) (server *storagetest.GCS, file string, bucket storage.Bucket) {
	t.Helper()
	server, file = storagetest.NewGCS(t), filepath.Join(t.TempDir(), "service-account.json")
	if err := os.WriteFile(file, server.ServiceAccount(t), 0o600); err != nil {
		t.Fatal(err)
	}
	bucket, err := gcs.Provider(gcs.Options{CredentialsFile: file, Endpoint: server.URL})(t.Context(), storage.Location{Bucket: storagetest.GCSBucket})
	if err != nil {
		t.Fatal(err)
	}
	return server, file, bucket
}

// run runs a utility and returns its exit code and what it said.
func runUtility(t *testing.T, bin string, env ...string) (code int, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Env = append(env, "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func readJSON(t *testing.T, b storage.Bucket, key string, into any) {
	t.Helper()
	content, err := storage.ReadAll(t.Context(), b, key, 1<<20)
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		t.Errorf("%s: %v", key, err)
	}
}

func TestProbe17AFailedCloneIsToldAndStopsThePod(t *testing.T) {
	server, file, bucket := google(t)
	records := filepath.Join(t.TempDir(), "clone.json")
	if err := os.WriteFile(records, []byte(`[{"refs":{}},{"refs":{"org":"org","repo":"repo","base_ref":"missing"},"failed":true,"commands":[{"command":"git fetch","error":"exit status 128"}]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, said := runUtility(t, build(t, "prow/cmd/initupload"), "JOB_SPEC="+presubmit, "STORAGE_EMULATOR_HOST="+server.URL,
		fmt.Sprintf(`INITUPLOAD_OPTIONS={"bucket":"%s","path_strategy":"explicit","gcs_credentials_file":%q,"log":%q}`, storagetest.GCSBucket, file, records))
	if code != 1 {
		t.Errorf("exit code %d: %s", code, said)
	}
	const dir = "pr-logs/pull/org_repo/1/j/b/"
	var finished artifacts.Finished
	readJSON(t, bucket, dir+"finished.json", &finished)
	if finished.Passed || finished.Result != "FAILURE" || finished.Timestamp == 0 {
		t.Errorf("finished.json: %+v", finished)
	}
	var started artifacts.Started
	readJSON(t, bucket, dir+"started.json", &started)
	var raw []artifacts.CloneRecord
	readJSON(t, bucket, dir+"clone-records.json", &raw)
	if started.Pull != "1" || len(raw) != 2 {
		t.Errorf("started.json: %+v; clone-records.json: %+v", started, raw)
	}
	for _, name := range []string{"clone-log.txt", "build-log.txt"} {
		if text, err := storage.ReadAll(t.Context(), bucket, dir+name, 1<<20); err != nil || !strings.Contains(string(text), "# FAILED") || !strings.Contains(string(text), "# Error: exit status 128") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

func TestInituploadStopsThePodWhereStorageRefuses(t *testing.T) {
	server, file, _ := google(t)
	env := []string{"JOB_SPEC=" + presubmit, "STORAGE_EMULATOR_HOST=" + server.URL,
		fmt.Sprintf(`INITUPLOAD_OPTIONS={"bucket":"no-such-bucket","path_strategy":"explicit","gcs_credentials_file":%q,"dry_run":false}`, file+".missing")}
	bin := build(t, "prow/cmd/initupload")
	if code, said := runUtility(t, bin, env...); code != 1 || !strings.Contains(said, "GCS credentials") {
		t.Errorf("exit code %d: %s", code, said)
	}
	if code, said := runUtility(t, bin, "JOB_SPEC="+presubmit, "INITUPLOAD_OPTIONS="); code != 1 {
		t.Errorf("exit code %d: %s", code, said)
	}
}

func TestGcsuploadStoresItems(t *testing.T) {
	server, file, bucket := google(t)
	dir := t.TempDir()
	for name, content := range map[string]string{"artifacts/x.txt": "x", "one.xml": "<a/>"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	bin := build(t, "prow/cmd/gcsupload")
	cmd := exec.CommandContext(t.Context(), bin, "--dry-run=false", "--gcs-path=gs://test-bucket/prefix", "--sub-dir=sub", "--gcs-credentials-file="+file, "--media-type=xml:application/special",
		filepath.Join(dir, "artifacts"), filepath.Join(dir, "one.xml"), filepath.Join(dir, "missing"))
	cmd.Env = []string{"JOB_SPEC=" + presubmit, "STORAGE_EMULATOR_HOST=" + server.URL}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	page, err := bucket.List(t.Context(), storage.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, item := range page.Items {
		keys = append(keys, item.Key)
	}
	if want := "pr-logs/directory/j/b.txt pr-logs/directory/j/latest-build.txt pr-logs/pull/org_repo/1/j/latest-build.txt prefix/pr-logs/pull/org_repo/1/j/b/sub/artifacts/x.txt prefix/pr-logs/pull/org_repo/1/j/b/sub/one.xml"; strings.Join(keys, " ") != want {
		t.Errorf("got %s, want %s", keys, want)
	}
	if attrs, err := bucket.Stat(t.Context(), "prefix/pr-logs/pull/org_repo/1/j/b/sub/one.xml"); err != nil || attrs.ContentType != "application/special" {
		t.Errorf("got %+v, %v", attrs, err)
	}
	if code, said := runUtility(t, bin, "JOB_SPEC="+presubmit, "STORAGE_EMULATOR_HOST="+server.URL, `GCSUPLOAD_OPTIONS={"bucket":"gs://test-bucket","path_strategy":"explicit","gcs_credentials_file":"/missing"}`); code != 1 {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// A pod that is killed outright has its log in storage, up to the last part.
func TestAKilledPodKeepsItsLog(t *testing.T) {
	bin, j := build(t, "prow/cmd/sidecar"), newJob(t)
	bucketDir := t.TempDir()
	if err := os.Remove(filepath.Join(j.dir, "marker-file.txt")); err != nil {
		t.Fatal(err)
	}
	cmd := j.command(t.Context(), bin)
	cmd.Env[0] = strings.Replace(strings.Replace(cmd.Env[0], `"entries":`, `"log_chunk_interval":10000000,"entries":`, 1), "s3://"+storagetest.S3Bucket, "file://"+bucketDir, 1)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	j.write(t, "process-log.txt", "log\nsaid a-secret-of-some-length\nand then")
	bucket, err := providers.New(providers.Credentials{}).Open(t.Context(), bucketDir)
	if err != nil {
		t.Fatal(err)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		log, err := storage.StatLog(t.Context(), bucket, "logs/j/1/build-log.txt")
		if err == nil && log.Growing && log.Size == int64(len("log\nsaid a-secret-of-some-length\n")) {
			break
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("no part of the log: %+v, %v", log, err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	part, err := storage.ReadAll(t.Context(), bucket, "logs/j/1/"+artifacts.LogPart(artifacts.BuildLogFile, 1), 1<<20)
	if err != nil || strings.Contains(string(part), "secret") {
		t.Errorf("got %q, %v", part, err)
	}
}

func TestUtilitiesAreSmall(t *testing.T) {
	for _, name := range []string{"sidecar", "initupload", "gcsupload"} {
		info, err := os.Stat(build(t, "prow/cmd/"+name))
		if err != nil || info.Size() > 25<<20 {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %.1f MiB", name, float64(info.Size())/(1<<20))
	}
}

// Start-up may take at most 10 ms more than that of a program that does nothing.
func BenchmarkStartUp(b *testing.B) {
	source := filepath.Join(b.TempDir(), "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for name, program := range map[string]string{"bare": source, "sidecar": "prow/cmd/sidecar", "initupload": "prow/cmd/initupload", "gcsupload": "prow/cmd/gcsupload"} {
		bin := build(b, program)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), bin)
				// No options are as far as a program comes without work.
				cmd.Env = []string{"SIDECAR_OPTIONS={}", "INITUPLOAD_OPTIONS={}", "GCSUPLOAD_OPTIONS={}"}
				_ = cmd.Run()
			}
		})
	}
}
