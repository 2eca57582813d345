// Package lgtm records in the label lgtm that somebody who may say so finds a
// pull request good, and takes that back when the pull request changes.
package lgtm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "lgtm"

// Texts that other programs search for.
const (
	addedFormat   = "LGTM label has been added.  <details>Git tree hash: %s</details>"
	removalNotice = "New changes are detected. LGTM label has been removed."
)

var (
	commandRe = regexp.MustCompile(`(?mi)^/(?:lgtm(?: no-issue| cancel)?|remove-lgtm)\s*$`)
	addRe     = regexp.MustCompile(`(?mi)^/lgtm(?: no-issue)?\s*$`)
	removeRe  = regexp.MustCompile(`(?mi)^/(remove-lgtm|lgtm cancel)\s*$`)
	hashRe    = regexp.MustCompile(regexp.QuoteMeta(addedFormat[:strings.Index(addedFormat, "%s")]) + `([0-9a-f]{40,64})</details>`)
)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The lgtm plugin manages the '" + plugins.LabelLGTM + "' (Looks Good To Me) label. " +
			"The label goes when the pull request changes.",
		Config:  describeConfig,
		Snippet: "lgtm:\n- repos:\n  - org/repo\n  review_acts_as_lgtm: true\n  store_tree_hash: true\n  trusted_team_for_sticky_lgtm: team-name\n",
		Labels:  []plugins.ManagedLabel{{Name: plugins.LabelLGTM, Present: "somebody has reviewed it; new commits take that back", Absent: "a collaborator other than the author has to comment /lgtm"}},
		Commands: []plugins.Command{{
			Usage: "/lgtm [cancel]", Featured: true,
			Who:         plugins.Decides("Collaborators of the repository. Authors cannot add the label to their own pull requests, but they can cancel it."),
			Description: "Adds or removes the '" + plugins.LabelLGTM + "' label, which merging usually needs.",
			Examples:    []string{"/lgtm", "/lgtm cancel", "/remove-lgtm"},
			Match:       commandRe, Scope: plugins.OpenPullRequests, Run: handleComment,
		}},
		Handlers: plugins.Handlers{Review: handleReview, PullRequest: handlePullRequest},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		c := cfg.LgtmFor(org, repo)
		var says []string
		if c.ReviewActsAsLgtm {
			says = append(says, "Reviews of GitHub count as /lgtm and /lgtm cancel.")
		}
		if c.StoreTreeHash {
			says = append(says, "The label stays when commits are changed without a change of the files.")
		}
		if c.StickyLgtmTeam != "" {
			says = append(says, "The label stays on new commits of members of the team "+c.StickyLgtmTeam+".")
		}
		if len(says) > 0 {
			out[full] = strings.Join(says, " ")
		}
	}
	return out
}

// wish is what somebody asks for.
type wish int

const (
	nothing wish = iota
	add
	remove
)

// wishOf reads a text; of both commands adding wins.
func wishOf(text string) wish {
	switch {
	case addRe.MatchString(text):
		return add
	case removeRe.MatchString(text):
		return remove
	}
	return nothing
}

// wishOfReview reads a review as an opinion, where its text holds no command.
func wishOfReview(state, body string) wish {
	if wishOf(body) != nothing {
		return nothing
	}
	switch strings.ToUpper(state) {
	case github.ReviewApproved:
		return add
	case github.ReviewChangesRequested:
		return remove
	}
	return nothing
}

// said is a wish with who said it where.
type said struct {
	wish       wish
	org, repo  string
	number     int
	by, author string
	assignees  []github.User
	body, link string
	// labels are those of the event.
	labels []github.Label
}

// event is what of it the contract's helpers ask for.
func (s *said) event() *github.CommentEvent {
	return &github.CommentEvent{Repo: github.Repo{Owner: github.User{Login: s.org}, Name: s.repo}, Number: s.number, Labels: s.labels}
}

func handleComment(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	return handle(ctx, a, said{
		wish: wishOf(plugins.CommandText(e.Body)), org: e.Repo.Owner.Login, repo: e.Repo.Name, number: e.Number,
		by: e.User.Login, author: e.IssueAuthor.Login, assignees: e.Assignees, body: e.Body, link: e.HTMLURL, labels: e.Labels,
	})
}

func handleReview(ctx context.Context, a *plugins.Agent, e *github.ReviewEvent) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	if e.Action != github.ActionSubmitted || e.PullRequest.State != "open" || e.Review.User.Type == "Bot" || !a.Plugins.LgtmFor(org, repo).ReviewActsAsLgtm {
		return nil
	}
	wish := wishOfReview(e.Review.State, e.Review.Body)
	if wish == add && e.Review.CommitID != "" && e.PullRequest.Head.SHA != "" && e.Review.CommitID != e.PullRequest.Head.SHA {
		a.Log.InfoContext(ctx, "the review is of an older commit and adds nothing", "commit", e.Review.CommitID)
		return nil
	}
	if wish == nothing {
		return nil
	}
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil || isBot(e.Review.User) {
		return err
	}
	return handle(ctx, a, said{
		wish: wish, org: org, repo: repo, number: e.PullRequest.Number, by: e.Review.User.Login, author: e.PullRequest.User.Login,
		assignees: e.PullRequest.Assignees, body: e.Review.Body, link: e.Review.HTMLURL, labels: e.PullRequest.Labels,
	})
}

// person is what the decision depends on.
type person struct {
	author, collaborator, assignee bool
	// anybody tells that people of the OWNERS files count instead of
	// collaborators, and owner that the person is one for some changed file.
	anybody, owner bool
}

// decide tells whether a wish is refused, with the reason, and whether the person
// becomes an assignee.
func (p person) decide(w wish) (refusal string, assign bool) {
	switch {
	case p.author && w == add:
		return "you cannot LGTM your own PR.", false
	case p.author:
		return "", false
	case p.anybody && !p.owner:
		return "changing LGTM is restricted to approvers and reviewers of the changed files, as listed in OWNERS files.", false
	case p.anybody:
		return "", false
	case !p.collaborator:
		return "changing LGTM is restricted to collaborators.", false
	}
	return "", !p.assignee
}

func sameLogin(a, b string) bool { return github.NormLogin(a) == github.NormLogin(b) }

func handle(ctx context.Context, a *plugins.Agent, s said) error {
	if s.wish == nothing {
		return nil
	}
	gh := a.GitHub
	who := person{
		author:   sameLogin(s.by, s.author),
		assignee: slices.ContainsFunc(s.assignees, func(u github.User) bool { return sameLogin(u.Login, s.by) }),
		anybody:  a.Plugins.SkipsCollaborators(s.org, s.repo),
	}
	var err error
	switch {
	case who.author:
	case who.anybody:
		who.owner, err = isOwner(ctx, a, s)
	default:
		who.collaborator, err = gh.IsCollaborator(ctx, s.org, s.repo, s.by)
	}
	if err != nil {
		return err
	}
	refusal, assign := who.decide(s.wish)
	if refusal != "" {
		return gh.CreateComment(ctx, s.org, s.repo, s.number, plugins.Reply(s.body, s.link, s.by, refusal))
	}
	if assign {
		if err := gh.AssignIssue(ctx, s.org, s.repo, s.number, []string{s.by}); err != nil {
			a.Log.WarnContext(ctx, "the commenter cannot be assigned", "error", err)
		}
	}
	has, err := a.HasLabelNow(ctx, s.event(), plugins.LabelLGTM, s.wish == add)
	if err != nil {
		a.Log.ErrorContext(ctx, "the labels cannot be read", "error", err)
	}
	switch {
	case s.wish == remove && has:
		return takeBack(ctx, a, s)
	case s.wish == add:
		return give(ctx, a, s, has)
	}
	return nil
}

// isOwner tells whether somebody approves or reviews some changed file.
func isOwner(ctx context.Context, a *plugins.Agent, s said) (bool, error) {
	pr, err := a.GitHub.GetPullRequest(ctx, s.org, s.repo, s.number)
	if err != nil {
		return false, fmt.Errorf("reading the pull request: %w", err)
	}
	index, err := a.Owners.LoadRepoOwners(ctx, s.org, s.repo, pr.Base.Ref)
	if err != nil {
		return false, err
	}
	changes, err := a.GitHub.GetPullRequestChanges(ctx, s.org, s.repo, s.number)
	if err != nil {
		return false, fmt.Errorf("listing the changed files: %w", err)
	}
	login := owners.Normalize(s.by)
	return slices.ContainsFunc(changes, func(c github.PullRequestChange) bool {
		return index.Approvers(c.Filename).Has(login) || index.Reviewers(c.Filename).Has(login)
	}), nil
}

func takeBack(ctx context.Context, a *plugins.Agent, s said) error {
	if err := a.GitHub.RemoveLabel(ctx, s.org, s.repo, s.number, plugins.LabelLGTM); err != nil {
		return fmt.Errorf("removing the label: %w", err)
	}
	if !a.Plugins.LgtmFor(s.org, s.repo).StoreTreeHash {
		return nil
	}
	err := askAssignees(ctx, a, s.org, s.repo, s.number, s.assignees)
	prune(ctx, a, s, func(c github.IssueComment) bool { return hashRe.MatchString(c.Body) })
	return err
}

// askAssignees requests a review from all assignees.
func askAssignees(ctx context.Context, a *plugins.Agent, org, repo string, number int, assignees []github.User) error {
	var logins []string
	for _, u := range assignees {
		logins = append(logins, u.Login)
	}
	if len(logins) == 0 {
		return nil
	}
	if err := a.GitHub.RequestReview(ctx, org, repo, number, logins); err != nil {
		return fmt.Errorf("requesting reviews: %w", err)
	}
	return nil
}

func prune(ctx context.Context, a *plugins.Agent, s said, outdated func(github.IssueComment) bool) {
	p := &plugins.Pruner{Client: a.GitHub, Org: s.org, Repo: s.repo, Number: s.number, Log: a.Log}
	p.Prune(ctx, outdated)
}

// give adds the label. Where it is there already, such as from handling the same
// event before the process died, what goes with it is completed.
func give(ctx context.Context, a *plugins.Agent, s said, has bool) error {
	cfg := a.Plugins.LgtmFor(s.org, s.repo)
	if !has {
		if err := a.GitHub.AddLabels(ctx, s.org, s.repo, s.number, plugins.LabelLGTM); err != nil {
			return fmt.Errorf("adding the label: %w", err)
		}
	} else if !cfg.StoreTreeHash {
		return nil
	}
	if isSticky(ctx, a, cfg, s.org, s.author) {
		return nil
	}
	if !cfg.StoreTreeHash {
		prune(ctx, a, s, isRemovalNotice)
		return nil
	}
	v, err := look(ctx, a, s.org, s.repo, s.number)
	if err != nil {
		return err
	}
	if newestTree(v.comments, v.isBot) != v.tree {
		if err := a.GitHub.CreateComment(ctx, s.org, s.repo, s.number, fmt.Sprintf(addedFormat, v.tree)); err != nil {
			return fmt.Errorf("commenting: %w", err)
		}
	}
	for _, c := range v.comments {
		if isRemovalNotice(c) && v.isBot(c.User) {
			if err := a.GitHub.DeleteComment(ctx, s.org, s.repo, c.ID); err != nil {
				a.Log.ErrorContext(ctx, "an outdated comment stays", "comment", c.ID, "error", err)
			}
		}
	}
	return nil
}

func isRemovalNotice(c github.IssueComment) bool { return strings.Contains(c.Body, removalNotice) }

func treeOf(ctx context.Context, a *plugins.Agent, org, repo, commit string) (string, error) {
	c, err := a.GitHub.GetSingleCommit(ctx, org, repo, commit)
	if err != nil {
		return "", fmt.Errorf("reading commit %s: %w", commit, err)
	}
	if c.Commit.Tree.SHA == "" {
		return "", fmt.Errorf("reading commit %s: it has no tree", commit)
	}
	return c.Commit.Tree.SHA, nil
}

func storedTree(ctx context.Context, a *plugins.Agent, org, repo string, number int) (string, error) {
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil {
		return "", err
	}
	comments, err := a.GitHub.ListIssueComments(ctx, org, repo, number)
	if err != nil {
		return "", fmt.Errorf("listing comments: %w", err)
	}
	return newestTree(comments, isBot), nil
}

// newestTree is the tree in the newest comment of the bot that tells one and that
// nobody has edited.
func newestTree(comments []github.IssueComment, isBot func(github.User) bool) string {
	for _, c := range slices.Backward(comments) {
		if m := hashRe.FindStringSubmatch(c.Body); m != nil && isBot(c.User) && c.UpdatedAt.Equal(c.CreatedAt) {
			return m[1]
		}
	}
	return ""
}

// isSticky tells whether an author's new commits keep the label. Where that cannot
// be found out they do not.
func isSticky(ctx context.Context, a *plugins.Agent, cfg pluginconfig.Lgtm, org, author string) bool {
	if cfg.StickyLgtmTeam == "" {
		return false
	}
	teams, err := a.GitHub.ListTeams(ctx, org)
	if err == nil {
		// People write either name.
		i := slices.IndexFunc(teams, func(t github.Team) bool { return t.Name == cfg.StickyLgtmTeam || t.Slug == cfg.StickyLgtmTeam })
		if i < 0 {
			err = errors.New("the org has no such team")
		} else {
			var members []github.User
			if members, err = a.GitHub.ListTeamMembersBySlug(ctx, org, teams[i].Slug, "all"); err == nil {
				return slices.ContainsFunc(members, func(u github.User) bool { return sameLogin(u.Login, author) })
			}
		}
	}
	a.Log.ErrorContext(ctx, "the team whose members keep the label cannot be asked for", "team", cfg.StickyLgtmTeam, "error", err)
	return false
}

// handlePullRequest takes the label back when the files change, or what they are
// compared with.
func handlePullRequest(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	pr := &e.PullRequest
	newBase := e.Action == github.ActionEdited && e.BaseRefChanged()
	if e.Action != github.ActionSynchronize && !newBase || pr.Merged {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	labels, err := a.GitHub.GetIssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return fmt.Errorf("reading the labels: %w", err)
	}
	if !github.HasLabel(plugins.LabelLGTM, labels) {
		return nil
	}
	cfg := a.Plugins.LgtmFor(org, repo)
	if isSticky(ctx, a, cfg, org, pr.User.Login) {
		return nil
	}
	if cfg.StoreTreeHash && !newBase {
		stored, err := storedTree(ctx, a, org, repo, e.Number)
		if err != nil {
			return err
		}
		if stored != "" {
			tree, err := treeOf(ctx, a, org, repo, pr.Head.SHA)
			if err != nil {
				return err
			}
			if tree == stored {
				a.Log.InfoContext(ctx, "the label stays: the files are the same", "tree", tree)
				return nil
			}
		}
	}
	if err := a.GitHub.RemoveLabel(ctx, org, repo, e.Number, plugins.LabelLGTM); err != nil {
		return fmt.Errorf("removing the label: %w", err)
	}
	var errs []error
	if cfg.StoreTreeHash {
		errs = append(errs, askAssignees(ctx, a, org, repo, e.Number, pr.Assignees))
	}
	if err := a.GitHub.CreateComment(ctx, org, repo, e.Number, plugins.Say(removalNotice)); err != nil {
		errs = append(errs, fmt.Errorf("commenting: %w", err))
	}
	return errors.Join(errs...)
}
