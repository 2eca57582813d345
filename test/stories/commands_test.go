package stories

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-github/v75/github"
	"github.com/rogpeppe/go-internal/testscript"

	"prow/test/installation"
)

type installationKey struct{}

func of(ts *testscript.TestScript) *installation.Installation {
	return ts.Value(installationKey{}).(*installation.Installation)
}

// commands are what stories can say beside testscript's own words:
//
//	up [FLAG...]                     start the installation and wait until it is ready
//	[!] up-fails REGEXP [FLAG...]    start it and expect an end with this message
//	kill-9 | stop | restart          end it the hard way, in order, or start it again
//	as USER DIR GIT-ARGS...          git in a directory, as a person of the forge
//	open USER BRANCH TITLE [BASE]    open a pull request; its number is $PR, its head $HEAD
//	comment USER PR TEXT             say something
//	wait-status SHA CONTEXT STATE [REGEXP]   wait for a commit status, and for its description
//	wait-label PR LABEL | no-label PR LABEL
//	wait-comment PR REGEXP           wait for a comment of anybody
//	wait-merged PR
//	wait-gone BRANCH                 wait until the repository has no such branch
//	wait-job JOB STATE [N]           wait until the Nth (first) run of a job is complete in a state
//	runs JOB N                       the job ran so often, and no more
//	page URL REGEXP                  a page shows something, now or soon
//	answers CODE METHOD URL [HEADER...] [-- BODY]   a request is answered with a code
//	mend FILE OLD NEW                replace a text in a file
//	external PROGRAM [FLAG...]       start an external plugin; its address is $PROGRAM
//	issue USER TITLE                 open an issue; its number is $ISSUE
//	edit USER NUMBER title|body|base TEXT
//	merge USER PR                    merge at once, as a person with the button
//	review USER PR EVENT TEXT        review; EVENT is APPROVE, REQUEST_CHANGES or COMMENT
//	status SHA CONTEXT STATE         set a status, as another service does
//	team NAME USER...                make a team of the org
//	milestone TITLE...               make milestones
//	repo-labels NAME...              make labels of the repository
//	wait-item NUMBER title|state|milestone|assignee|reviewer TEXT   wait until an issue or pull request has it
//	wait-pull BASE REGEXP            wait for an open pull request with this title; it is $PR then, its head $HEAD
//	wait-config NAME KEY REGEXP      wait for a value in a ConfigMap
//	no-comment PR REGEXP             wait until there is no such comment
//	new-repo NAME USER...            make another repository of the org, to which these people may push
//	in REPO                          what follows is about this repository; at first it is the one of repo/
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"up":       func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(of(ts).Up(args...)) },
	"up-fails": upFails,
	"kill-9":   func(ts *testscript.TestScript, _ bool, _ []string) { of(ts).Kill() },
	"stop":     func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).Stop()) },
	"restart":  func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).Restart()) },
	"as":       as,
	"open":     open,
	"comment":  comment,

	"wait-status":  waitStatus,
	"wait-label":   waitLabel,
	"no-label":     noLabel,
	"wait-comment": waitComment,
	"wait-merged":  waitMerged,
	"wait-gone":    waitGone,
	"wait-job":     waitJob,
	"wait-check":   waitCheck,
	"rerun-check":  rerunCheck,
	"runs":         runs,
	"page":         page,
	"answers":      answers,
	"mend":         mend,

	"external":    startExternal,
	"issue":       issue,
	"edit":        edit,
	"merge":       merge,
	"review":      review,
	"status":      status,
	"team":        team,
	"milestone":   milestone,
	"repo-labels": repoLabels,
	"wait-item":   waitItem,
	"wait-pull":   waitPull,
	"wait-config": waitConfig,
	"no-comment":  noComment,
	"new-repo":    newRepo,
	"in":          in,
}

func need(ts *testscript.TestScript, args []string, n int, usage string) {
	if len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func upFails(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "up-fails REGEXP [FLAG...]")
	err := of(ts).Up(args[1:]...)
	if err == nil || !regexp.MustCompile(args[0]).MatchString(err.Error()) {
		ts.Fatalf("the start ended with %v", err)
	}
}

func as(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, args, 3, "as USER DIR GIT-ARGS...")
	out, err := of(ts).Git(args[0], ts.MkAbs(args[1]), args[2:]...)
	ts.Logf("%s", out)
	if (err != nil) != neg {
		ts.Fatalf("git %s: %v", args[2], err)
	}
	if args[2] == "rev-parse" {
		ts.Setenv("SHA", strings.TrimSpace(out))
	}
}

func open(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "open USER BRANCH TITLE [BASE]")
	base := "main"
	if len(args) > 3 {
		base = args[3]
	}
	c, err := of(ts).Forge(args[0])
	ts.Check(err)
	pr, _, err := c.PullRequests.Create(context.Background(), installation.Org, repository(ts), &github.NewPullRequest{
		Title: &args[2], Head: &args[1], Base: &base, Body: github.Ptr("A change."),
	})
	ts.Check(err)
	ts.Setenv("PR", strconv.Itoa(pr.GetNumber()))
	ts.Setenv("HEAD", pr.GetHead().GetSHA())
}

func comment(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "comment USER PR TEXT")
	c, err := of(ts).Forge(args[0])
	ts.Check(err)
	_, _, err = c.Issues.CreateComment(context.Background(), installation.Org, repository(ts), number(ts, args[1]), &github.IssueComment{Body: github.Ptr(strings.ReplaceAll(args[2], `\n`, "\n"))})
	ts.Check(err)
}

func waitStatus(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "wait-status SHA CONTEXT STATE [REGEXP]")
	w, says := of(ts), regexp.MustCompile("")
	if len(args) > 3 {
		says = regexp.MustCompile(args[3])
	}
	c, err := w.Forge("alice")
	ts.Check(err)
	last := "none"
	err = installation.Until("status "+args[1]+" "+args[2], func(ctx context.Context) (bool, error) {
		combined, _, err := c.Repositories.GetCombinedStatus(ctx, installation.Org, repository(ts), args[0], nil)
		if err != nil {
			return false, err
		}
		for _, s := range combined.Statuses {
			if s.GetContext() != args[1] {
				continue
			}
			last = s.GetState() + ": " + s.GetDescription()
			if s.GetState() == args[2] && says.MatchString(s.GetDescription()) {
				ts.Setenv("URL", s.GetTargetURL())
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		ts.Fatalf("%v; the status is %s", err, last)
	}
}

// waitCheck waits for the newest check run of a name; a verdict of "-" is none yet.
func waitCheck(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "wait-check SHA NAME VERDICT [REGEXP]")
	w, says := of(ts), regexp.MustCompile("")
	if len(args) > 3 {
		says = regexp.MustCompile(args[3])
	}
	c, err := w.Forge("alice")
	ts.Check(err)
	last := "none"
	err = installation.Until("check run "+args[1]+" "+args[2], func(ctx context.Context) (bool, error) {
		runs, _, err := c.Checks.ListCheckRunsForRef(ctx, installation.Org, repository(ts), args[0], &github.ListCheckRunsOptions{CheckName: &args[1]})
		if err != nil || len(runs.CheckRuns) == 0 {
			return false, err
		}
		run := runs.CheckRuns[0]
		last = fmt.Sprintf("%s %s: %s\n%s\n%d annotations", run.GetStatus(), run.GetConclusion(), run.GetOutput().GetTitle(), run.GetOutput().GetSummary(), run.GetOutput().GetAnnotationsCount())
		ts.Setenv("CHECK", strconv.FormatInt(run.GetID(), 10))
		ts.Setenv("URL", run.GetDetailsURL())
		return run.GetConclusion() == args[2] && says.MatchString(last), nil
	})
	if err != nil {
		ts.Fatalf("%v; the check run is %s", err, last)
	}
}

func rerunCheck(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "rerun-check USER ID")
	c, err := of(ts).Forge(args[0])
	ts.Check(err)
	_, err = c.Checks.ReRequestCheckRun(context.Background(), installation.Org, repository(ts), int64(number(ts, args[1])))
	ts.Check(err)
}

func labels(ctx context.Context, ts *testscript.TestScript, pr string) ([]string, error) {
	c, err := of(ts).Forge("alice")
	if err != nil {
		return nil, err
	}
	issue, _, err := c.Issues.Get(ctx, installation.Org, repository(ts), number(ts, pr))
	var out []string
	if err == nil {
		for _, l := range issue.Labels {
			out = append(out, l.GetName())
		}
	}
	return out, err
}

func waitLabel(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "wait-label PR LABEL")
	ts.Check(installation.Until("label "+args[1], func(ctx context.Context) (bool, error) {
		have, err := labels(ctx, ts, args[0])
		return slices.Contains(have, args[1]), err
	}))
}

func noLabel(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "no-label PR LABEL")
	ts.Check(installation.Until("no label "+args[1], func(ctx context.Context) (bool, error) {
		have, err := labels(ctx, ts, args[0])
		return err == nil && !slices.Contains(have, args[1]), err
	}))
}

func waitComment(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "wait-comment PR REGEXP")
	says := regexp.MustCompile(args[1])
	c, err := of(ts).Forge("alice")
	ts.Check(err)
	ts.Check(installation.Until("a comment that says "+args[1], func(ctx context.Context) (bool, error) {
		all, _, err := c.Issues.ListComments(ctx, installation.Org, repository(ts), number(ts, args[0]), &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 100}})
		return slices.ContainsFunc(all, func(c *github.IssueComment) bool { return says.MatchString(c.GetBody()) }), err
	}))
}

func waitMerged(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, args, 1, "[!] wait-merged PR")
	c, err := of(ts).Forge("alice")
	ts.Check(err)
	if neg {
		pr, _, err := c.PullRequests.Get(context.Background(), installation.Org, repository(ts), number(ts, args[0]))
		ts.Check(err)
		if pr.GetMerged() {
			ts.Fatalf("pull request %s is merged", args[0])
		}
		return
	}
	ts.Check(installation.Until("the merge of "+args[0], func(ctx context.Context) (bool, error) {
		pr, _, err := c.PullRequests.Get(ctx, installation.Org, repository(ts), number(ts, args[0]))
		return err == nil && pr.GetMerged(), err
	}))
}

func waitGone(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "wait-gone BRANCH")
	c, err := of(ts).Forge("alice")
	ts.Check(err)
	ts.Check(installation.Until("the end of the branch "+args[0], func(ctx context.Context) (bool, error) {
		_, resp, err := c.Git.GetRef(ctx, installation.Org, repository(ts), "heads/"+args[0])
		if resp != nil && resp.StatusCode == http.StatusNotFound {
			return true, nil
		}
		return false, err
	}))
}

func waitJob(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "wait-job JOB STATE [N]")
	n := 1
	if len(args) > 2 {
		n = number(ts, args[2])
	}
	last := "no run"
	err := installation.Until("job "+args[0], func(ctx context.Context) (bool, error) {
		jobs, err := of(ts).ProwJobs(ctx, args[0])
		if err != nil {
			return false, err
		}
		complete := 0
		for _, j := range jobs {
			last = fmt.Sprintf("%s: %s", j.Status.State, j.Status.Description)
			if args[1] == "pending" && j.Status.State == "pending" {
				return true, nil
			}
			if j.Complete() && string(j.Status.State) == args[1] {
				complete++
			}
		}
		return complete >= n, nil
	})
	if err != nil {
		ts.Fatalf("%v; the last run is %s", err, last)
	}
}

func runs(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "runs JOB N")
	jobs, err := of(ts).ProwJobs(context.Background(), args[0])
	ts.Check(err)
	if len(jobs) != number(ts, args[1]) {
		ts.Fatalf("job %s has %d runs, expected %s", args[0], len(jobs), args[1])
	}
}

func page(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "page URL REGEXP")
	shows, last := regexp.MustCompile(args[1]), ""
	err := installation.Until("page "+args[0], func(ctx context.Context) (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
		if err != nil {
			return false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
		last = resp.Status + "\n" + string(body)
		return resp.StatusCode == http.StatusOK && shows.Match(body), err
	})
	if err != nil {
		ts.Fatalf("%v\n%s", err, last)
	}
}

func answers(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "answers CODE METHOD URL [HEADER...] [-- BODY]")
	body := ""
	if i := slices.Index(args, "--"); i >= 0 {
		body, args = strings.Join(args[i+1:], " "), args[:i]
	}
	req, err := http.NewRequest(args[1], args[2], strings.NewReader(body))
	ts.Check(err)
	for _, h := range args[3:] {
		key, value, _ := strings.Cut(h, ": ")
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != number(ts, args[0]) {
		ts.Fatalf("%s %s answers %s: %s", args[1], args[2], resp.Status, text)
	}
}

func mend(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "mend FILE OLD NEW")
	path := ts.MkAbs(args[0])
	raw, err := os.ReadFile(path)
	ts.Check(err)
	if !strings.Contains(string(raw), args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, []byte(strings.ReplaceAll(string(raw), args[1], args[2])), 0o644))
}
