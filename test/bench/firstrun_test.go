// Package bench measures the figures that the installation on one machine
// promises. Run it with `make bench` on a machine that does nothing else.
//
// Method: the built programs are run as a user runs them, on an empty directory
// and ports of their own. Times are wall clock, taken from outside the process:
//
//	ready-s            from the start of the program until it prints that it is up
//	rss-MB             resident memory of the process, 30 s after that, nothing running
//	webhook-to-pod-s   from the forge's answer to the creation of a comment that asks
//	                   for a test, until its pod is running; the median of 5
//	merge-s            from ready until tide has merged, in the story of `make demo`
//	                   with jobs that take no time of their own
package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v75/github"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/test/installation"
)

const (
	owners = "approvers: [alice]\nreviewers: [bob]\n"
	jobs   = `presubmits:
- name: quick
  always_run: true
  decorate: true
  spec:
    containers:
    - image: localhost/none
      command: ["true"]
- name: slow
  decorate: true
  spec:
    containers:
    - image: localhost/none
      command: [sleep, "3"]
`
)

func prepare(b *testing.B) *installation.Installation {
	b.Helper()
	dir := b.TempDir()
	in := &installation.Installation{Bin: installation.Programs(b), Dir: filepath.Join(dir, "state"), Repo: filepath.Join(dir, "repo")}
	if err := os.Mkdir(in.Repo, 0o755); err != nil {
		b.Fatal(err)
	}
	for name, content := range map[string]string{"OWNERS": owners, ".prow.yaml": jobs} {
		if err := os.WriteFile(filepath.Join(in.Repo, name), []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	if err := in.Prepare(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(in.Close)
	return in
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		in := prepare(b)
		began := time.Now()
		if err := in.Up(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "ready-s")
		<-time.After(30 * time.Second)
		b.ReportMetric(float64(resident(b, in.PID()))/1e6, "rss-MB")
		in.Close()
	}
}

// resident is the resident memory of a process in bytes.
func resident(b *testing.B, pid int) int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return kb * 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// propose opens a pull request of carol's and returns it.
func propose(b *testing.B, in *installation.Installation, c *github.Client) *github.PullRequest {
	b.Helper()
	work := filepath.Join(b.TempDir(), "work")
	for _, step := range [][]string{{"clone", "--quiet", in.URL("forge") + "/" + installation.Org + "/" + installation.Name, work}, {"-C", work, "checkout", "--quiet", "-b", "change"}} {
		if out, err := in.Git("carol", ".", step...); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(work, "file"), []byte("x"), 0o644); err != nil {
		b.Fatal(err)
	}
	for _, step := range [][]string{{"add", "."}, {"commit", "--quiet", "--message", "change"}, {"push", "--quiet", "origin", "change"}} {
		if out, err := in.Git("carol", work, step...); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	pr, _, err := c.PullRequests.Create(b.Context(), installation.Org, installation.Name, &github.NewPullRequest{Title: github.Ptr("A change"), Head: github.Ptr("change"), Base: github.Ptr("main")})
	if err != nil {
		b.Fatal(err)
	}
	return pr
}

func say(b *testing.B, in *installation.Installation, login string, number int, text string) {
	b.Helper()
	c, err := in.Forge(login)
	if err != nil {
		b.Fatal(err)
	}
	if _, _, err := c.Issues.CreateComment(b.Context(), installation.Org, installation.Name, number, &github.IssueComment{Body: &text}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWebhookToPod(b *testing.B) {
	in := prepare(b)
	if err := in.Up(); err != nil {
		b.Fatal(err)
	}
	c, err := in.Forge("carol")
	if err != nil {
		b.Fatal(err)
	}
	number := propose(b, in, c).GetNumber()
	for b.Loop() {
		var took []float64
		for run := 1; run <= 5; run++ {
			say(b, in, "carol", number, "/test slow")
			began := time.Now()
			if err := installation.Until("a running pod", func(ctx context.Context) (bool, error) {
				var pods corev1.PodList
				if err := in.Jobs.List(ctx, &pods, client.InNamespace("test-pods"), client.MatchingLabels{prowv1.JobLabel: "slow"}); err != nil {
					return false, err
				}
				return slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }), nil
			}); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began).Seconds())
			if err := installation.Until("its end", func(ctx context.Context) (bool, error) {
				all, err := in.ProwJobs(ctx, "slow")
				return len(all) == run && !slices.ContainsFunc(all, func(j prowv1.ProwJob) bool { return !j.Complete() }), err
			}); err != nil {
				b.Fatal(err)
			}
		}
		slices.Sort(took)
		b.ReportMetric(took[len(took)/2], "webhook-to-pod-s")
	}
}

func BenchmarkMerge(b *testing.B) {
	for b.Loop() {
		in := prepare(b)
		if err := in.Up(); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		c, err := in.Forge("carol")
		if err != nil {
			b.Fatal(err)
		}
		number := propose(b, in, c).GetNumber()
		say(b, in, "bob", number, "/lgtm")
		say(b, in, "alice", number, "/approve")
		if err := installation.Until("the merge", func(ctx context.Context) (bool, error) {
			pr, _, err := c.PullRequests.Get(ctx, installation.Org, installation.Name, number)
			return err == nil && pr.GetMerged(), err
		}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "merge-s")
		in.Close()
	}
}
