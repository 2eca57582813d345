// Package assign assigns people to issues and pull requests, and asks them for
// reviews, as comments say.
package assign

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "assign"

var assignRe = regexp.MustCompile(`(?mi)^/(un)?assign((?:[ \t]+@?[-\w]+)*)[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The assign plugin assigns people to issues and pull requests, and requests reviews.",
		Commands: []plugins.Command{
			{
				Usage: "/[un]assign [[@]<user>...]", Featured: true, Who: plugins.Decides("Anyone can use this command, but whom it names must be a member of the organisation, a collaborator, or have commented."),
				Description: "Assigns people to an issue or pull request, or takes them off; without a name, you.",
				Examples:    []string{"/assign", "/unassign", "/assign @alice", "/assign alice bob"},
				Match:       assignRe, Run: assignment.run,
			},
			{
				Usage: "/[un]cc [[@]<user>|<org>/<team>...]", Featured: true, Who: plugins.Decides("Anyone can use this command, but whom it names must be a member of the organisation or a collaborator."),
				Description: "Requests reviews of people and teams, or takes that back; without a name, yours.",
				Examples:    []string{"/cc", "/uncc", "/cc @alice", "/cc bob org/team"},
				Match:       plugins.ReviewRequestRe, Scope: plugins.PullRequests, Run: reviews.run,
			},
		},
	}
}

// wish is whom to add and whom to remove, each name as it was written first.
type wish struct{ add, remove []string }

// wishOf reads all uses of a command. Without a name one is about the commenter; of
// several mentions of a name the last counts.
func wishOf(uses [][]string, commenter string) wish {
	var order []string
	written, removed := map[string]string{}, map[string]bool{}
	for _, use := range uses {
		names := strings.Fields(use[2])
		if len(names) == 0 {
			names = []string{commenter}
		}
		for _, name := range names {
			key := github.NormLogin(name)
			if _, seen := written[key]; !seen {
				order = append(order, key)
				written[key] = strings.TrimPrefix(name, "@")
			}
			removed[key] = use[1] != ""
		}
	}
	var w wish
	for _, key := range order {
		if removed[key] {
			w.remove = append(w.remove, written[key])
		} else {
			w.add = append(w.add, written[key])
		}
	}
	return w
}

// list is a list of people that a command changes.
type list struct {
	what        string
	add, remove func(c *github.Client, ctx context.Context, org, repo string, number int, logins []string) error
	// refused says why the forge did not take somebody.
	refused string
}

var (
	assignment = list{
		what: "the assignees", add: (*github.Client).AssignIssue, remove: (*github.Client).UnassignIssue,
		refused: "The forge did not assign %s.\n\nOnly members of the organisation with read access, collaborators, and people who have commented here can be assigned, and at most ten.",
	}
	reviews = list{
		what: "the requested reviews", add: (*github.Client).RequestReview, remove: (*github.Client).UnrequestReview,
		refused: "The forge did not request a review of %s.\n\nOnly members of the organisation, its teams, and collaborators can be asked, and not the author.",
	}
)

// run removes before it adds, so that there is room, and adds nobody where
// removing failed.
func (l list) run(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, uses [][]string) error {
	w := wishOf(uses, e.User.Login)
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	failed := func(err error) error {
		return fmt.Errorf("changing %s of %s/%s#%d: %w", l.what, org, repo, e.Number, err)
	}
	if len(w.remove) > 0 {
		if err := l.remove(a.GitHub, ctx, org, repo, e.Number, w.remove); err != nil {
			return failed(err)
		}
	}
	if len(w.add) == 0 {
		return nil
	}
	err := l.add(a.GitHub, ctx, org, repo, e.Number, w.add)
	var missing *github.MissingUsersError
	if errors.As(err, &missing) {
		return a.Reply(ctx, e, fmt.Sprintf(l.refused, quoted(missing.Users)))
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = plugins.Code(name)
	}
	return strings.Join(out, ", ")
}
