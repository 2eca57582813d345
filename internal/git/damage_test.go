package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sshRemote makes git reach the upstream through a script, which stands for the
// network: it gets the command that is to be run on the other side in $cmd.
func (u *upstream) sshRemote(t *testing.T, c *Cache, script string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "network")
	must(t, os.WriteFile(file, []byte("#!/bin/sh\nfor cmd; do :; done\n"+script+"\n"), 0o755))
	c.runner = c.runner.WithEnv("GIT_SSH_COMMAND=" + file)
	c.remotes = func(context.Context, string, string) (Remote, error) {
		return Remote{URL: "ssh://host" + u.dir, Settings: []Setting{{"ssh.variant", "simple"}}}, nil
	}
}

// A git that is killed in the middle of a fetch leaves parts of packs and locks;
// the next one must not stumble over them.
func TestAFetchThatIsKilledLeavesAMirrorThatWorks(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	u.tree(t, c, Need{})
	noise := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // it does not fail
	u.commit(t, "large", map[string]string{"large": string(noise)})

	remotes, runner := c.remotes, c.runner
	marker := filepath.Join(t.TempDir(), "half")
	// Of what the other side sends only the beginning arrives; then nothing more does.
	u.sshRemote(t, c, `eval "$cmd" | { dd bs=1 count=100000 status=none; touch `+marker+`; exec sleep 1000; }`)
	done := make(chan error, 1)
	go func() {
		_, err := c.Tree(t.Context(), "org", "repo", Need{Commits: []string{u.sha["large"]}})
		done <- err
	}()
	poll(t, "half of the fetch", func() bool { _, err := os.Stat(marker); return err == nil })
	killed := killChildren(t, "fetch")
	if err := <-done; err == nil || killed == 0 {
		t.Fatalf("killed %d, got %v", killed, err)
	}
	c.remotes, c.runner = remotes, runner
	mirror := filepath.Join(c.dir, "org", "repo.git")
	// And what it may leave at other moments.
	for _, name := range []string{"HEAD.lock", "packed-refs.lock", "config.lock", "shallow.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x", "objects/pack/tmp_idx_x"} {
		must(t, os.WriteFile(filepath.Join(mirror, name), []byte("half"), 0o644))
	}
	u.run(t, "branch", "-f", "other", u.sha["one"])
	for _, need := range []Need{{Commits: []string{u.sha["large"]}}, {}} {
		tree := u.tree(t, c, need)
		must(t, tree.Checkout(t.Context(), u.sha["large"]))
		if content(t, tree, "large") != string(noise) {
			t.Error("the file is not what it should be")
		}
	}
	left, _ := filepath.Glob(filepath.Join(mirror, "objects", "pack", "tmp_*"))
	if locks, _ := filepath.Glob(filepath.Join(mirror, "*.lock")); len(left)+len(locks) > 0 {
		t.Errorf("left behind: %v %v", left, locks)
	}
}

// killChildren kills the process groups of this process's gits with a word among their arguments.
func killChildren(t *testing.T, word string) (killed int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	must(t, err)
	for _, stat := range stats {
		raw, err := os.ReadFile(stat)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		fields := strings.Fields(rest)
		args, err := os.ReadFile(filepath.Join(filepath.Dir(stat), "cmdline"))
		if err != nil || len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) || !bytes.Contains(args, []byte(word)) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if syscall.Kill(-pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// A file that was damaged is only noticed when it is checked out. That fails once;
// then the mirror is made anew.
func TestAFileThatWasDamagedInTheMirror(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	u.tree(t, c, Need{})
	mirror := filepath.Join(c.dir, "org", "repo.git")
	packs, _ := filepath.Glob(filepath.Join(mirror, "objects", "pack", "*.pack"))
	if len(packs) != 1 {
		t.Fatal(packs)
	}
	blob := u.run(t, "rev-parse", u.sha["base"]+":src/deep/code")
	listing, err := u.runner.Output(t.Context(), mirror, "verify-pack", "-v", packs[0])
	must(t, err)
	for line := range strings.Lines(listing) {
		if fields := strings.Fields(line); len(fields) == 5 && fields[0] == blob {
			// HASH SP TYPE SP SIZE SP SIZE-IN-PACK SP OFFSET
			offset, _ := strconv.ParseInt(fields[4], 10, 64)
			length, _ := strconv.ParseInt(fields[3], 10, 64)
			raw, err := os.ReadFile(packs[0])
			must(t, err)
			raw[offset+length-3] ^= 0xff
			must(t, os.Chmod(packs[0], 0o644))
			must(t, os.WriteFile(packs[0], raw, 0o644))
		}
	}
	need := Need{Commits: []string{u.sha["base"]}}
	if err := u.tree(t, c, need).Checkout(t.Context(), u.sha["base"]); err == nil {
		t.Fatal("the pack was not damaged")
	}
	tree := u.tree(t, c, need)
	if err := tree.Checkout(t.Context(), u.sha["base"]); err != nil || content(t, tree, "src/deep/code") != "code\n" {
		t.Errorf("the second time: %v", err)
	}
}

func TestAMirrorWithNonsenseInPlaces(t *testing.T) {
	for _, name := range []string{"HEAD", "config", "packed-refs"} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t)
			c := u.cache(t)
			u.tree(t, c, Need{})
			must(t, os.WriteFile(filepath.Join(c.dir, "org", "repo.git", name), []byte("\x00nonsense\n"), 0o644))
			for _, need := range []Need{{}, {Commits: []string{u.sha["base"]}}} {
				tree := u.tree(t, c, need)
				if err := tree.Checkout(t.Context(), u.sha["base"]); err != nil || content(t, tree, "README") != "base\n" {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestWordsOfOthersAreNoComplaint(t *testing.T) {
	for message, want := range map[string]bool{
		"fatal: packed object 0123 (stored in x.pack) is corrupt":              true,
		"error: inflate: data stream error (incorrect data check)":             true,
		"fatal: loose object 0123 (stored in ./objects/01/23) is corrupt":      true,
		"error: failed to read delta base object 0123 at offset 5 from x.pack": true,
		"hint: x\nerror: could not apply 0123... packed object 01 is corrupt":  false,
		"CONFLICT (content): Merge conflict in error: inflate: x":              false,
		"fatal: bad object 0123":          false,
		"fatal: Needed a single revision": false,
		"error: Your local changes to the following files would be overwritten: is corrupt": false,
	} {
		if got := complaint.MatchString(message); got != want {
			t.Errorf("%q: %v", message, got)
		}
	}
}

func TestTroubleOfTheNetworkIsMetByPatience(t *testing.T) {
	for sentence, tc := range map[string]struct {
		script string
		waits  []time.Duration
		fails  string
	}{
		"trouble that is over soon":    {`if [ ! -e MARK ]; then touch MARK; echo "ssh: connect to host host port 22: Connection refused" >&2; exit 255; fi; eval "$cmd"`, []time.Duration{time.Second}, ""},
		"trouble that stays":           {`echo "kex_exchange_identification: Connection reset by peer" >&2; exit 255`, []time.Duration{time.Second, 4 * time.Second}, "Connection reset"},
		"a refusal is not asked again": {`echo "Permission denied (publickey)." >&2; exit 255`, nil, "Permission denied"},
	} {
		t.Run(sentence, func(t *testing.T) {
			u := newUpstream(t)
			c := u.cache(t)
			u.sshRemote(t, c, strings.ReplaceAll(tc.script, "MARK", filepath.Join(t.TempDir(), "mark")))
			var waits []time.Duration
			c.pause = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
			tree, err := c.Tree(t.Context(), "org", "repo", Need{})
			if err == nil {
				must(t, tree.Close())
			}
			if fmt.Sprint(waits) != fmt.Sprint(tc.waits) || (err == nil) != (tc.fails == "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("waits %v, %v", waits, err)
			}
		})
	}
}

func TestARemoteThatHangsIsGivenUp(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	c.NetworkLimit = 50 * time.Millisecond
	u.sshRemote(t, c, `exec sleep 1000`)
	if _, err := c.Tree(t.Context(), "org", "repo", Need{}); !errors.Is(err, ErrTooSlow) {
		t.Errorf("got %v", err)
	}
}

// Credentials must reach the server, and never a command line or a message.
func TestCredentialsStandOnNoCommandLine(t *testing.T) {
	u := newUpstream(t)
	const token = "s3cret-token"
	backend, err := u.runner.Output(t.Context(), ".", "--exec-path")
	must(t, err)
	if _, err := os.Stat(backend + "/git-http-backend"); err != nil {
		t.Skip("git-http-backend is not installed")
	}
	var mu sync.Mutex
	var users []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		mu.Lock()
		users = append(users, user+":"+password)
		mu.Unlock()
		if password != token {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		(&cgi.Handler{Path: backend + "/git-http-backend", Env: []string{"GIT_PROJECT_ROOT=" + u.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=x"}}).ServeHTTP(w, r)
	}))
	defer server.Close()

	// What each git was given is written down.
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	wrapper := filepath.Join(dir, "git")
	must(t, os.WriteFile(wrapper, []byte("#!/bin/sh\necho \"$@\" >>"+log+"\nexec git \"$@\"\n"), 0o755))
	c := u.cache(t)
	c.runner.binary = wrapper
	c.remotes = func(context.Context, string, string) (Remote, error) {
		return Remote{URL: server.URL + "/.git", Settings: BasicAuth(server.URL+"/.git", "x-access-token", token)}, nil
	}
	u.run(t, "config", "http.receivepack", "true")
	tree := u.tree(t, c, Need{})
	must(t, tree.Checkout(t.Context(), u.sha["base"]))
	must(t, tree.CheckoutNewBranch(t.Context(), "topic"))
	must(t, tree.Push(t.Context(), Push{Branch: "topic"}))
	commands, err := os.ReadFile(log)
	must(t, err)
	if !strings.Contains(string(commands), "push") || strings.Contains(string(commands), token) {
		t.Errorf("command lines:\n%s", commands)
	}
	config, err := os.ReadFile(filepath.Join(tree.Dir(), ".git", "config"))
	must(t, err)
	if strings.Contains(string(config), token) {
		t.Error("the token is written in the tree")
	}
	mu.Lock()
	if len(users) == 0 || users[0] != "x-access-token:"+token {
		t.Errorf("the server saw %v", users)
	}
	mu.Unlock()
	c.remotes = func(context.Context, string, string) (Remote, error) {
		return Remote{URL: server.URL + "/.git", Settings: BasicAuth(server.URL+"/.git", "x-access-token", "wrong-"+token)}, nil
	}
	if _, err := c.Tree(t.Context(), "org", "repo", Need{}); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("got %v", err)
	}
}

func TestStepsAreObserved(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	var steps []Step
	c.Observe = func(step Step, org, repo string, took time.Duration) {
		if org != "org" || repo != "repo" || took <= 0 {
			t.Errorf("%s of %s/%s took %s", step, org, repo, took)
		}
		steps = append(steps, step)
	}
	u.tree(t, c, Need{Commits: []string{u.sha["one"]}, Sparse: []string{}})
	u.tree(t, c, Need{Commits: []string{u.sha["one"]}})
	u.tree(t, c, Need{})
	if want := []Step{StepMirror, StepFetch, StepClone, StepSparse, StepClone, StepMirror, StepClone}; fmt.Sprint(steps) != fmt.Sprint(want) {
		t.Errorf("observed %v, want %v", steps, want)
	}
}
