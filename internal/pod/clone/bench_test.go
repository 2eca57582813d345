package clone

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/options"
)

// bigRepository publishes org/big with n commits over 2,000 files and one pull.
func (s *server) bigRepository(b *testing.B, n int) v1.Refs {
	b.Helper()
	bare := filepath.Join(s.dir, "root", "org", "big.git")
	s.run(b, s.dir, "init", "-q", "--bare", "-b", "main", bare)
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriter(w)
		for i := range n {
			message, content := fmt.Sprint("commit ", i), fmt.Sprintf("content %d\n%s\n", i, strings.Repeat(strconv.Itoa(i), 20))
			fmt.Fprintf(out, "commit refs/heads/main\nmark :%d\ncommitter a <b@c> %d +0000\ndata %d\n%s\n", i+1, 1600000000+i, len(message), message)
			fmt.Fprintf(out, "M 100644 inline dir%d/file%d\ndata %d\n%s\n", i%50, i%2000, len(content), content)
		}
		fmt.Fprintf(out, "commit refs/pull/1/head\ncommitter a <b@c> %d +0000\ndata 4\npull\nfrom :%d\nM 100644 inline pull\ndata 2\nx\n\n", 1600000000+n, n-10)
		_ = w.CloseWithError(out.Flush())
	}()
	if err := s.git.Pipe(b.Context(), bare, r, discard, "fast-import", "--quiet"); err != nil {
		b.Fatal(err)
	}
	s.run(b, bare, "repack", "-q", "-a", "-d", "-b")
	s.run(b, bare, "config", "uploadpack.allowAnySHA1InWant", "true")
	return v1.Refs{
		Org: "org", Repo: "big", RepoLink: s.url + "/org/big", PathAlias: "big", BaseRef: "main",
		BaseSHA: s.run(b, bare, "rev-parse", "main"), Pulls: []v1.Pull{{Number: 1, SHA: s.run(b, bare, "rev-parse", "refs/pull/1/head")}},
	}
}

// BenchmarkCloneOf100000Commits compares clonerefs, as a process, with the plain
// git commands of its sequence, one process each, on a repository of 100,000
// commits that a server on this machine has. Both take turns, and the quickest of
// each counts. It fails if clonerefs takes more than 1.1 times as long.
//
//	go test -run '^$' -bench CloneOf100000 -benchtime 3x ./internal/pod/clone
func BenchmarkCloneOf100000Commits(b *testing.B) {
	s := newServer(b)
	refs := s.bigRepository(b, 100_000)
	bin := programs(b, "clonerefs")
	mirrors := b.TempDir()
	bare, _ := mirrorOf(mirrors, s.url+"/org/big.git")
	s.run(b, s.dir, "clone", "-q", "--bare", s.dir+"/root/org/big.git", bare)

	var plain, ours, mirrored time.Duration
	quickest := func(so *time.Duration, run func()) {
		begin := time.Now()
		run()
		if took := time.Since(begin); *so == 0 || took < *so {
			*so = took
		}
	}
	var head string
	for b.Loop() {
		dir := b.TempDir()
		quickest(&plain, func() { head = s.plain(b, dir, refs) })
		for _, c := range []struct {
			so     *time.Duration
			mirror string
		}{{&ours, ""}, {&mirrored, mirrors}} {
			p := newProbe(b, bin)
			quickest(c.so, func() {
				records := p.clonerefs(b, func(o *options.Clone) { o.MirrorDir = c.mirror }, refs)
				if records[1].Failed || records[1].FinalSHA != head {
					b.Fatalf("HEAD is %s, want %s: %s", records[1].FinalSHA, head, records[1].Message)
				}
			})
			_ = os.RemoveAll(p.dir)
		}
		_ = os.RemoveAll(dir)
	}
	ratio := ours.Seconds() / plain.Seconds()
	b.ReportMetric(plain.Seconds(), "plain-s")
	b.ReportMetric(ours.Seconds(), "clonerefs-s")
	b.ReportMetric(mirrored.Seconds(), "mirror-s")
	b.ReportMetric(ratio, "ratio")
	if ratio > 1.1 {
		b.Errorf("clonerefs takes %.2f times as long as the plain commands", ratio)
	}
}

// plain runs the commands of the sequence as a person would.
func (s *server) plain(b *testing.B, dir string, refs v1.Refs) (head string) {
	b.Helper()
	address := refs.RepoLink + ".git"
	commands := [][]string{
		{"init"}, {"config", "user.name", "ci-robot"}, {"config", "user.email", "ci-robot@k8s.io"},
		{"fetch", address, "--tags", "--prune"}, {"fetch", address, refs.BaseSHA},
		{"checkout", refs.BaseSHA}, {"branch", "--force", refs.BaseRef, refs.BaseSHA}, {"checkout", refs.BaseRef},
		{"show", "-s", "--format=format:%ct", "HEAD"},
		{"fetch", address, refs.Pulls[0].SHA}, {"merge", "--no-ff", refs.Pulls[0].SHA},
		{"submodule", "update", "--init", "--recursive"}, {"rev-parse", "HEAD"},
	}
	date := ""
	for _, args := range commands {
		cmd := exec.CommandContext(b.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		if args[0] == "merge" {
			cmd.Env = append(cmd.Env, "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
		}
		out, err := cmd.Output()
		if err != nil {
			b.Fatalf("git %v: %v", args, err)
		}
		head = strings.TrimSpace(string(out))
		if args[0] == "show" {
			seconds, err := strconv.Atoi(head)
			if err != nil {
				b.Fatal(err)
			}
			date = fmt.Sprintf("%d +0000", seconds+1)
		}
	}
	return head
}
