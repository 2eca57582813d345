package build

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"prow/tools/images/internal/rootfs"
	"prow/tools/images/internal/spec"
)

// root is the unpacked files of an image for this machine's architecture.
type root struct{ dir string }

// unpack unpacks an image, to be entered as a container would be.
func unpack(t *testing.T, name string) root {
	t.Helper()
	builtDir(t)
	if os.Getuid() != 0 {
		t.Skip("NOT RUN FOR REAL: only root can enter the files of an image")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	found := false
	eachBuilt(t, func(t *testing.T, image v1.Image, what spec.Image, arch string) {
		if what.Name == name && arch == runtime.GOARCH {
			found = true
			extract(t, image, dir)
		}
	})
	if !found && os.Getenv("PROW_IMAGES_SOME") != "" {
		t.Skipf("NOT RUN FOR REAL: the image %s was not built", name)
	}
	if !found {
		t.Fatalf("there is no image %s for %s", name, runtime.GOARCH)
	}
	// What runtimes provide.
	if err := os.Mkdir(filepath.Join(dir, "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, minor := range map[string]int{"null": 3, "urandom": 9} {
		device := filepath.Join(dir, "dev", name)
		if err := syscall.Mknod(device, syscall.S_IFCHR|0o666, 1<<8|minor); err != nil {
			t.Skipf("NOT RUN FOR REAL: this machine does not let make /dev/%s: %v", name, err)
		}
		if err := os.Chmod(device, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root{dir: dir}
}

func extract(t *testing.T, image v1.Image, dir string) {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		switch header.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(file, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(header.Linkname, file)
		default:
			var content []byte
			if content, err = io.ReadAll(archive); err == nil {
				err = os.WriteFile(file, content, 0o644)
			}
		}
		if err == nil && header.Typeflag != tar.TypeSymlink {
			err = errors.Join(os.Lchown(file, header.Uid, header.Gid), os.Chmod(file, header.FileInfo().Mode()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// work makes a directory for the user of the image, as a volume would be.
func (r root) work(t *testing.T) {
	t.Helper()
	dir := filepath.Join(r.dir, "work")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, rootfs.User, rootfs.User)); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in the files of the image, as its user.
func (r root) run(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + rootfs.Home}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir, Credential: &syscall.Credential{Uid: rootfs.User, Gid: rootfs.User}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// forge serves two repositories, of which one has the other as a submodule, by the
// git of this machine. It returns their directory.
func forge(t *testing.T) (string, *cgi.Handler) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sub", "repo"} {
		work := filepath.Join(t.TempDir(), name)
		run(t, ".", "git", "init", "--quiet", "-b", "main", work)
		if err := os.WriteFile(filepath.Join(work, name+".txt"), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		if name == "repo" {
			run(t, work, "git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", filepath.Join(dir, "org", "sub.git"), "lib")
			run(t, work, "git", "config", "--file", ".gitmodules", "submodule.lib.url", "../sub.git")
		}
		run(t, work, "git", "add", "--all")
		run(t, work, "git", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "-m", name)
		run(t, work, "git", "clone", "--quiet", "--bare", work, filepath.Join(dir, "org", name+".git"))
	}
	exec, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	return dir, &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(exec)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
}

func (r root) clone(t *testing.T, env []string, address string, flags ...string) (string, error) {
	t.Helper()
	_ = os.RemoveAll(filepath.Join(r.dir, "work", "src"))
	args := append([]string{"/usr/local/bin/clonerefs", "--src-root=/work", "--log=/work/clone.json", "--fail", "--repo=org,repo=main", "--uri-prefix=" + address}, flags...)
	out, err := r.run(t, env, args...)
	log, _ := os.ReadFile(filepath.Join(r.dir, "work", "clone.json"))
	return out + string(log), err
}

func (r root) expectClone(t *testing.T) {
	t.Helper()
	for file, want := range map[string]string{"repo.txt": "repo", "lib/sub.txt": "sub"} {
		got, err := os.ReadFile(filepath.Join(r.dir, "work", "src", "github.com", "org", "repo", file))
		if err != nil || string(got) != want {
			t.Errorf("%s holds %q: %v", file, got, err)
		}
	}
}

func TestTheImageOfProwRuns(t *testing.T) {
	r := unpack(t, "prow")
	for _, command := range [][]string{{"/usr/local/bin/prow", "--version"}, {"git", "--version"}, {"ssh", "-V"}} {
		out, err := r.run(t, nil, append([]string{"/usr/bin/sh", "-c", `exec "$0" "$@"`}, command...)...)
		if err != nil {
			t.Errorf("%v: %v: %s", command, err, out)
		}
		t.Logf("%v: %s", command, strings.TrimSpace(out))
	}
}

func TestTheImageOfClonerefsClonesOverHTTPWithSubmodules(t *testing.T) {
	r := unpack(t, "clonerefs")
	r.work(t)
	_, handler := forge(t)
	server := httptest.NewServer(handler)
	defer server.Close()
	if out, err := r.clone(t, nil, server.URL+"/{{.Org}}/{{.Repo}}.git"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.expectClone(t)
}

func TestTheImageOfClonerefsBelievesOnlyKnownCertificates(t *testing.T) {
	r := unpack(t, "clonerefs")
	r.work(t)
	_, handler := forge(t)
	server := httptest.NewTLSServer(handler)
	defer server.Close()
	address := server.URL + "/{{.Org}}/{{.Repo}}.git"
	bundle := filepath.Join(r.dir, "etc/ssl/certs/ca-certificates.crt")
	args := []string{"git", "-c", "http.sslVerify=true", "ls-remote", server.URL + "/org/repo.git"}
	if out, err := r.run(t, []string{"GIT_CONFIG_NOSYSTEM=1"}, append([]string{"/usr/bin/git"}, args[1:]...)...); err == nil || !strings.Contains(out, "certificate") {
		t.Fatalf("a server whose certificate nobody knows: %v: %s", err, out)
	}
	before, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	known := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, append(bytes.Clone(before), known...), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := r.clone(t, nil, address); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.expectClone(t)
}

func TestTheImageOfEntrypointCopiesItselfAndRunsProcesses(t *testing.T) {
	r := unpack(t, "entrypoint")
	r.work(t)
	// By /proc a program finds itself.
	self := filepath.Join(r.dir, "proc", "self")
	if err := errors.Join(os.MkdirAll(self, 0o755), os.Symlink("/usr/local/bin/entrypoint", filepath.Join(self, "exe"))); err != nil {
		t.Fatal(err)
	}
	if out, err := r.run(t, nil, "/usr/local/bin/entrypoint", "--copy-mode-only", "--copy-destination=/work/entrypoint"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := r.run(t, nil, "/work/entrypoint", "--process-log=/work/log", "--marker-file=/work/marker", "--", "/no/such/program")
	if err == nil {
		t.Errorf("a program that is not there ran: %s", out)
	}
	marker, err := os.ReadFile(filepath.Join(r.dir, "work", "marker"))
	if err != nil || strings.TrimSpace(string(marker)) == "0" {
		t.Errorf("the marker says %q: %v", marker, err)
	}
}

func TestTheImagesThatStoreRun(t *testing.T) {
	for _, name := range []string{"initupload", "sidecar", "gcsupload"} {
		r := unpack(t, name)
		out, err := r.run(t, nil, "/usr/local/bin/"+name)
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s without options: %v: %s", name, err, out)
		}
		var line map[string]any
		first, _, _ := strings.Cut(out, "\n")
		if err := json.Unmarshal([]byte(first), &line); err != nil || line["component"] != name {
			t.Errorf("%s logs %q", name, first)
		}
	}
}
