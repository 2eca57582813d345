package approve

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/approve/approvers"
	"prow/internal/plugins/pluginconfig"
)

var commandRe = regexp.MustCompile(`(?m)^/([^\s]+)[\t ]*([^\n\r]*)`)

// opinion is what a command or a review says.
type opinion int

const (
	approval opinion = iota + 1
	approvalWithoutIssue
	withdrawal
)

// command is an approval command in a text.
type command struct {
	opinion opinion
	// how is the kind of approval, as the notification shows it.
	how string
}

// commandsOf are the approval commands of a text, in order.
func commandsOf(text string, lgtmActsAsApprove bool) []command {
	var out []command
	for _, m := range commandRe.FindAllStringSubmatch(plugins.CommandText(text), -1) {
		argument := strings.ToLower(strings.TrimSpace(m[2]))
		c := command{opinion: approval, how: "Approved"}
		switch name := strings.ToUpper(m[1]); {
		case name == "REMOVE-APPROVE":
			c.opinion = withdrawal
		case name == "LGTM" && lgtmActsAsApprove:
			c.how = "LGTM"
		case name != "APPROVE":
			continue
		}
		switch {
		case slices.Contains(strings.Fields(argument), "cancel"):
			c.opinion = withdrawal
		case argument == "no-issue" && c.opinion == approval:
			c.opinion = approvalWithoutIssue
		}
		out = append(out, c)
	}
	return out
}

// remark is a text somebody wrote, or a review.
type remark struct {
	login, body, url string
	at               time.Time
	// state is the state of a review, in upper case; empty for comments.
	state string
}

// remarks brings together everything people wrote, in order of time. What the bot
// wrote is left out, and reviews of other programs are.
func remarks(comments []github.IssueComment, lines []github.ReviewComment, reviews []github.Review, isBot func(github.User) bool) []remark {
	var out []remark
	add := func(by github.User, r remark) {
		if !isBot(by) {
			r.login = by.Login
			out = append(out, r)
		}
	}
	for _, c := range comments {
		add(c.User, remark{body: c.Body, url: c.HTMLURL, at: c.CreatedAt})
	}
	for _, c := range lines {
		add(c.User, remark{body: c.Body, url: c.HTMLURL, at: c.CreatedAt})
	}
	for _, r := range reviews {
		if r.User.Type != "Bot" {
			add(r.User, remark{body: r.Body, url: r.HTMLURL, at: r.SubmittedAt, state: strings.ToUpper(r.State)})
		}
	}
	slices.SortStableFunc(out, func(a, b remark) int { return a.at.Compare(b.at) })
	return out
}

// collect finds out who approves now: the last thing a person said counts. Only a
// plain approval does not take the place of one that waives the issue.
func collect(author, pullURL string, all []remark, cfg pluginconfig.Approve) []approvers.Approval {
	byLogin := map[string]approvers.Approval{}
	if cfg.HasSelfApproval() {
		byLogin[github.NormLogin(author)] = approvers.Approval{Login: author, How: "Author self-approved", Reference: pullURL + "#"}
	}
	say := func(r remark, c command) {
		key := github.NormLogin(r.login)
		if c.opinion == withdrawal {
			delete(byLogin, key)
			return
		}
		noIssue := c.opinion == approvalWithoutIssue
		if byLogin[key].NoIssue && !noIssue {
			return
		}
		byLogin[key] = approvers.Approval{Login: r.login, How: c.how, Reference: r.url, NoIssue: noIssue}
	}
	for _, r := range all {
		if cfg.ConsiderReviewState() {
			switch r.state {
			case github.ReviewApproved:
				say(r, command{opinion: approval, how: "Approved"})
			case github.ReviewChangesRequested:
				say(r, command{opinion: withdrawal})
			}
		}
		for _, c := range commandsOf(r.body, cfg.LgtmActsAsApprove) {
			say(r, c)
		}
	}
	var out []approvers.Approval
	for _, a := range byLogin {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b approvers.Approval) int {
		return strings.Compare(github.NormLogin(a.Login), github.NormLogin(b.Login))
	})
	return out
}

// issueOf is the number of the issue that a description names first; 0 without one.
func issueOf(org, body string) int {
	m := regexp.MustCompile(`(?:` + regexp.QuoteMeta(org) + `/[^/]+/issues/|#)(\d+)`).FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}
