package stories

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-github/v75/github"
	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/test/installation"
)

// text is what a story writes with \n for the end of a line.
func text(s string) *string { return github.Ptr(strings.ReplaceAll(s, `\n`, "\n")) }

func startExternal(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "external PROGRAM [FLAG...]")
	ts.Check(of(ts).External(args[0], args[1:]...))
}

func forge(ts *testscript.TestScript, login string) *github.Client {
	c, err := of(ts).Forge(login)
	ts.Check(err)
	return c
}

// repository is the one that the story is about at the moment.
func repository(ts *testscript.TestScript) string {
	if name := ts.Getenv("REPOSITORY"); name != "" {
		return name
	}
	return installation.Name
}

func in(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "in REPO")
	ts.Setenv("REPOSITORY", args[0])
}

func newRepo(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "new-repo NAME USER...")
	c := forge(ts, installation.Bot)
	_, _, err := c.Repositories.Create(context.Background(), installation.Org, &github.Repository{Name: &args[0], AutoInit: github.Ptr(true)})
	ts.Check(err)
	for _, login := range args[1:] {
		_, _, err := c.Repositories.AddCollaborator(context.Background(), installation.Org, args[0], login, &github.RepositoryAddCollaboratorOptions{Permission: "push"})
		ts.Check(err)
	}
}

func issue(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "issue USER TITLE")
	i, _, err := forge(ts, args[0]).Issues.Create(context.Background(), installation.Org, repository(ts), &github.IssueRequest{Title: &args[1]})
	ts.Check(err)
	ts.Setenv("ISSUE", strconv.Itoa(i.GetNumber()))
}

func edit(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 4, "edit USER NUMBER title|body|base TEXT")
	var change github.PullRequest
	switch args[2] {
	case "title":
		change.Title = text(args[3])
	case "body":
		change.Body = text(args[3])
	case "base":
		change.Base = &github.PullRequestBranch{Ref: &args[3]}
	default:
		ts.Fatalf("%s cannot be edited", args[2])
	}
	_, _, err := forge(ts, args[0]).PullRequests.Edit(context.Background(), installation.Org, repository(ts), number(ts, args[1]), &change)
	ts.Check(err)
}

func merge(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "merge USER PR")
	_, _, err := forge(ts, args[0]).PullRequests.Merge(context.Background(), installation.Org, repository(ts), number(ts, args[1]), "", nil)
	ts.Check(err)
}

func review(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 4, "review USER PR EVENT TEXT")
	_, _, err := forge(ts, args[0]).PullRequests.CreateReview(context.Background(), installation.Org, repository(ts), number(ts, args[1]), &github.PullRequestReviewRequest{Event: &args[2], Body: text(args[3])})
	ts.Check(err)
}

func status(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "status SHA CONTEXT STATE")
	_, _, err := forge(ts, installation.Bot).Repositories.CreateStatus(context.Background(), installation.Org, repository(ts), args[0], &github.RepoStatus{Context: &args[1], State: &args[2]})
	ts.Check(err)
}

func team(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "team NAME USER...")
	c := forge(ts, installation.Bot)
	made, _, err := c.Teams.CreateTeam(context.Background(), installation.Org, github.NewTeam{Name: args[0]})
	ts.Check(err)
	for _, login := range args[1:] {
		_, _, err = c.Teams.AddTeamMembershipBySlug(context.Background(), installation.Org, made.GetSlug(), login, nil)
		ts.Check(err)
	}
}

func milestone(ts *testscript.TestScript, _ bool, args []string) {
	for _, title := range args {
		_, _, err := forge(ts, installation.Bot).Issues.CreateMilestone(context.Background(), installation.Org, repository(ts), &github.Milestone{Title: &title})
		ts.Check(err)
	}
}

func repoLabels(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		_, _, err := forge(ts, installation.Bot).Issues.CreateLabel(context.Background(), installation.Org, repository(ts), &github.Label{Name: &name, Color: github.Ptr("ededed")})
		ts.Check(err)
	}
}

func waitItem(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "wait-item NUMBER title|state|milestone|assignee|reviewer TEXT")
	c, n, last := forge(ts, "alice"), number(ts, args[0]), []string(nil)
	err := installation.Until(args[1]+" "+args[2], func(ctx context.Context) (bool, error) {
		i, _, err := c.Issues.Get(ctx, installation.Org, repository(ts), n)
		if err != nil {
			return false, err
		}
		last = nil
		switch args[1] {
		case "title":
			last = append(last, i.GetTitle())
		case "state":
			last = append(last, i.GetState())
		case "milestone":
			last = append(last, i.GetMilestone().GetTitle())
		case "assignee":
			for _, u := range i.Assignees {
				last = append(last, u.GetLogin())
			}
		case "reviewer":
			asked, _, err := c.PullRequests.ListReviewers(ctx, installation.Org, repository(ts), n, nil)
			if err != nil {
				return false, err
			}
			for _, u := range asked.Users {
				last = append(last, u.GetLogin())
			}
		default:
			ts.Fatalf("an issue has no %s", args[1])
		}
		return slices.Contains(last, args[2]), nil
	})
	if err != nil {
		ts.Fatalf("%v; it is %q", err, last)
	}
}

func waitPull(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "wait-pull BASE REGEXP")
	says, c := regexp.MustCompile(args[1]), forge(ts, "alice")
	ts.Check(installation.Until("a pull request to "+args[0], func(ctx context.Context) (bool, error) {
		pulls, _, err := c.PullRequests.List(ctx, installation.Org, repository(ts), &github.PullRequestListOptions{Base: args[0]})
		for _, pr := range pulls {
			if says.MatchString(pr.GetTitle()) {
				ts.Setenv("PR", strconv.Itoa(pr.GetNumber()))
				ts.Setenv("HEAD", pr.GetHead().GetSHA())
				return true, nil
			}
		}
		return false, err
	}))
}

func waitConfig(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 3, "wait-config NAME KEY REGEXP")
	says := regexp.MustCompile(args[2])
	ts.Check(installation.Until("the ConfigMap "+args[0], func(ctx context.Context) (bool, error) {
		var m corev1.ConfigMap
		err := of(ts).Jobs.Get(ctx, client.ObjectKey{Namespace: "default", Name: args[0]}, &m)
		return err == nil && says.MatchString(m.Data[args[1]]), err
	}))
}

func noComment(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "no-comment PR REGEXP")
	says, c := regexp.MustCompile(args[1]), forge(ts, "alice")
	ts.Check(installation.Until("no comment that says "+args[1], func(ctx context.Context) (bool, error) {
		all, _, err := c.Issues.ListComments(ctx, installation.Org, repository(ts), number(ts, args[0]), &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 100}})
		return err == nil && !slices.ContainsFunc(all, func(c *github.IssueComment) bool { return says.MatchString(c.GetBody()) }), err
	}))
}
