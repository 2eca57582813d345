// Package demo plays a story against a running installation, with what its
// people would use: git, the forge's API, and the pages.
//
// Carol pushes a branch with a mistake and opens a pull request; its presubmit
// fails and the status links to the log. She mends it, Bob says /lgtm and Alice
// /approve, tide merges, and the postsubmit runs on what was merged.
package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v75/github"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
	"prow/standalone/up"
)

const (
	// stepLimit bounds one step. A job may have to compile a toolchain's worth of packages.
	stepLimit = 5 * time.Minute
	// look is the time between two looks at something that is waited for.
	look = 250 * time.Millisecond
	// mistake is in the log of the failing job.
	mistake = "this mistake is part of the demonstration"
)

// Story is a play of the demonstration.
type Story struct {
	up    *up.Up
	out   io.Writer
	began time.Time
	// branch is unique, so that the story can be played again on the same state.
	branch string
	jobs   client.Client
}

// Play plays the story and returns nil if every step happened.
func Play(ctx context.Context, u *up.Up, out io.Writer) error {
	work, err := os.MkdirTemp("", "prow-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	config, err := clientcmd.BuildConfigFromFlags("", u.Kubeconfig)
	if err != nil {
		return err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return err
	}
	jobs, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	s := &Story{up: u, out: out, began: time.Now(), branch: "demo-" + time.Now().UTC().Format("150405"), jobs: jobs}
	fmt.Fprintln(out, "\nThe story of a change:")
	if err := s.play(ctx, work); err != nil {
		s.tell("The story broke off: %v", err)
		return err
	}
	s.tell("The end.")
	return nil
}

func (s *Story) tell(format string, args ...any) {
	fmt.Fprintf(s.out, "  %6.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func (s *Story) play(ctx context.Context, work string) error {
	o := s.up.Options
	carol, err := s.client(up.Author)
	if err != nil {
		return err
	}
	repo := &repository{dir: filepath.Join(work, "repo"), url: up.URL(o.ForgePort) + "/" + o.FullName(), login: up.Author}
	if repo.token, err = s.token(up.Author); err != nil {
		return err
	}
	if err := repo.clone(ctx); err != nil {
		return err
	}
	change := newChange(repo.dir)
	if err := repo.commit(ctx, s.branch, "Add a demonstration", change.broken); err != nil {
		return err
	}
	s.tell("%s pushed branch %s, with a mistake in it.", up.Author, s.branch)

	base, err := repo.git(ctx, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
	if err != nil {
		return err
	}
	pr, _, err := carol.PullRequests.Create(ctx, o.Org, o.Repo, &github.NewPullRequest{
		Title: github.Ptr("Add a demonstration"), Body: github.Ptr("Opened by `make demo`."),
		Head: github.Ptr(s.branch), Base: github.Ptr(strings.TrimPrefix(strings.TrimSpace(base), "origin/")),
	})
	if err != nil {
		return fmt.Errorf("open the pull request: %w", err)
	}
	number := pr.GetNumber()
	s.tell("%s opened pull request %s.", up.Author, pr.GetHTMLURL())

	red, err := s.status(ctx, carol, pr.GetHead().GetSHA(), change.job, "failure")
	if err != nil {
		return err
	}
	s.tell("Presubmit %s ran and failed, the status is red: %s", change.job, red.GetTargetURL())
	if err := s.logHas(ctx, red.GetTargetURL(), mistake); err != nil {
		return err
	}
	s.tell("Its page shows why: %q.", mistake)

	if err := repo.commit(ctx, s.branch, "Mend the demonstration", change.mended); err != nil {
		return err
	}
	head, err := repo.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	s.tell("%s pushed the mended change.", up.Author)
	if _, err := s.status(ctx, carol, strings.TrimSpace(head), change.job, "success"); err != nil {
		return err
	}
	s.tell("Presubmit %s passed, the status is green.", change.job)

	labels := []string{"lgtm"}
	if err := s.comment(ctx, up.Reviewer, number, "/lgtm"); err != nil {
		return err
	}
	if s.up.Approves {
		labels = append(labels, "approved")
		if err := s.comment(ctx, up.Approver, number, "/approve"); err != nil {
			return err
		}
	}
	for _, label := range labels {
		if err := s.until(ctx, "label "+label, func() (bool, error) {
			issue, _, err := carol.Issues.Get(ctx, o.Org, o.Repo, number)
			return err == nil && slices.ContainsFunc(issue.Labels, func(l *github.Label) bool { return l.GetName() == label }), err
		}); err != nil {
			return err
		}
	}
	s.tell("The pull request has the labels %s.", strings.Join(labels, " and "))

	var merge string
	if err := s.until(ctx, "the merge", func() (bool, error) {
		got, _, err := carol.PullRequests.Get(ctx, o.Org, o.Repo, number)
		merge = got.GetMergeCommitSHA()
		return err == nil && got.GetMerged(), err
	}); err != nil {
		return err
	}
	s.tell("Tide merged it as %.10s.", merge)
	if change.postsubmit == "" {
		return nil
	}
	if err := s.until(ctx, "postsubmit "+change.postsubmit, func() (bool, error) { return s.postsubmit(ctx, change.postsubmit, merge) }); err != nil {
		return err
	}
	s.tell("Postsubmit %s ran on it and passed.", change.postsubmit)
	return nil
}

// postsubmit tells whether a postsubmit passed on a commit; that it failed is an error.
func (s *Story) postsubmit(ctx context.Context, name, sha string) (bool, error) {
	var list prowv1.ProwJobList
	if err := s.jobs.List(ctx, &list, client.MatchingLabels{prowv1.TypeLabel: string(prowv1.PostsubmitJob)}); err != nil {
		return false, err
	}
	for i := range list.Items {
		j := &list.Items[i]
		if j.Spec.Job != name || j.Spec.Refs == nil || j.Spec.Refs.BaseSHA != sha || !j.Complete() {
			continue
		}
		if j.Status.State != prowv1.SuccessState {
			return false, &stop{fmt.Errorf("postsubmit %s: %s: %s", name, j.Status.State, j.Status.Description)}
		}
		return true, nil
	}
	return false, nil
}

func (s *Story) token(login string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(s.up.Options.Dir, "secrets", "token-"+login))
	return strings.TrimSpace(string(raw)), err
}

func (s *Story) client(login string) (*github.Client, error) {
	token, err := s.token(login)
	if err != nil {
		return nil, err
	}
	return github.NewClient(nil).WithAuthToken(token).WithEnterpriseURLs(s.up.ForgeAPI, s.up.ForgeAPI)
}

func (s *Story) comment(ctx context.Context, login string, number int, text string) error {
	c, err := s.client(login)
	if err != nil {
		return err
	}
	o := s.up.Options
	if _, _, err := c.Issues.CreateComment(ctx, o.Org, o.Repo, number, &github.IssueComment{Body: &text}); err != nil {
		return fmt.Errorf("comment as %s: %w", login, err)
	}
	s.tell("%s commented %s.", login, text)
	return nil
}

// status waits for a final status of a context and wants it in a state.
func (s *Story) status(ctx context.Context, c *github.Client, sha, name, state string) (*github.RepoStatus, error) {
	var found *github.RepoStatus
	o := s.up.Options
	err := s.until(ctx, "status "+name, func() (bool, error) {
		combined, _, err := c.Repositories.GetCombinedStatus(ctx, o.Org, o.Repo, sha, nil)
		if err != nil {
			return false, err
		}
		for _, st := range combined.Statuses {
			if st.GetContext() == name && st.GetState() != "pending" {
				found = st
			}
		}
		return found != nil, nil
	})
	if err == nil && found.GetState() != state {
		err = fmt.Errorf("status %s is %s (%s), expected %s; see %s", name, found.GetState(), strings.TrimSpace(found.GetDescription()), state, found.GetTargetURL())
	}
	return found, err
}

// logHas wants the page of a run, or the log it links to, to show a text.
func (s *Story) logHas(ctx context.Context, page, text string) error {
	return s.until(ctx, "the page of the run", func() (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
		if err != nil {
			return false, &stop{err}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s answers %s", page, resp.Status)
		}
		return err == nil && bytes.Contains(body, []byte(text)), err
	})
}

// stop is an error that waiting does not mend.
type stop struct{ error }

// until looks again and again until ok, and tells what went wrong last if it waited too long.
func (s *Story) until(ctx context.Context, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		done, err := ok()
		var final *stop
		if errors.As(err, &final) {
			return final.error
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("waited too long for %s: %w", what, err)
			}
			return fmt.Errorf("waited too long for %s", what)
		case <-tick.C:
		}
	}
}

// repository is a person's clone.
type repository struct {
	dir, url, login, token string
}

func (r *repository) clone(ctx context.Context) error {
	_, err := r.run(ctx, "", "clone", "--quiet", r.url, r.dir)
	return err
}

func (r *repository) git(ctx context.Context, args ...string) (string, error) {
	return r.run(ctx, r.dir, args...)
}

func (r *repository) run(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME="+r.login, "GIT_AUTHOR_EMAIL="+r.login+"@example.com", "GIT_COMMITTER_NAME="+r.login, "GIT_COMMITTER_EMAIL="+r.login+"@example.com",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader",
		"GIT_CONFIG_VALUE_0=Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(r.login+":"+r.token)))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// commit puts files on a branch and pushes it.
func (r *repository) commit(ctx context.Context, branch, message string, files map[string]string) error {
	if _, err := r.git(ctx, "checkout", "--quiet", "-B", branch); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "--message", message}, {"push", "--quiet", "origin", branch}} {
		if _, err := r.git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}
