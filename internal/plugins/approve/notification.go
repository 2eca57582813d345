package approve

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins/approve/approvers"
	"prow/internal/plugins/pluginconfig"
)

// notificationRe finds the notification among the bot's comments.
var notificationRe = regexp.MustCompile(`(?is)^\[ApprovalNotifier\] *?([^\n]*)(?:\n\n(.*))?`)

// notice is what the notification says.
type notice struct {
	org, repo, branch string
	// linkURL is the base of links for people.
	linkURL *url.URL
	// ownersFile is the name of OWNERS files.
	ownersFile string
	cfg        pluginconfig.Approve
	issue      int
	// byHand tells that a human set the label.
	byHand  bool
	verdict approvers.Verdict
}

func (n *notice) approved() bool { return n.verdict.RequirementsMet || n.byHand }

// settled tells that no more approval is asked for.
func (n *notice) settled() bool { return n.verdict.FilesApproved || n.byHand }

func (n *notice) String() string {
	title := "NOT APPROVED"
	if n.approved() {
		title = "APPROVED"
	}
	parts := []string{fmt.Sprintf("[APPROVALNOTIFIER] This PR is **%s**", title)}
	add := func(part string) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if n.byHand && !n.verdict.RequirementsMet {
		add("Approval requirements bypassed by manually added approval.")
	}
	add("This pull-request has been approved by: " + links(n.verdict.Approvals))
	add(n.request())
	add(n.aboutIssue())
	add(fmt.Sprintf("The full list of commands accepted by this bot can be found [here](%s?repo=%s).", n.cfg.CommandHelpLink, url.QueryEscape(n.org+"/"+n.repo)))
	if n.settled() {
		add(fmt.Sprintf("The pull request process is described [here](%s).", n.cfg.PrProcessLink))
	}
	add(n.details())
	return strings.Join(parts, "\n\n") + "\n" + n.meta()
}

// links are approvals with their pages.
func links(list []approvers.Approval) string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = fmt.Sprintf(`*<a href="%s" title="%s">%s</a>*`, html.EscapeString(a.Reference), html.EscapeString(a.How), html.EscapeString(a.Login))
	}
	return strings.Join(out, ", ")
}

func (n *notice) profiles(logins []string) string {
	out := make([]string, len(logins))
	for i, login := range logins {
		out[i] = fmt.Sprintf("[**%s**](%s)", login, n.linkURL.JoinPath(login))
	}
	return strings.Join(out, ", ")
}

// request says whom to ask.
func (n *notice) request() string {
	v := &n.verdict
	if n.settled() || len(v.AssignedCCs)+len(v.SuggestedCCs) == 0 {
		return ""
	}
	var b strings.Builder
	if len(v.AssignedCCs) > 0 {
		fmt.Fprintf(&b, "**Once this PR has been reviewed and has the lgtm label**, please ask for approval from %s.", n.profiles(v.AssignedCCs))
	}
	if len(v.SuggestedCCs) > 0 {
		if b.Len() > 0 {
			b.WriteString(" Also please")
		} else {
			b.WriteString("**Once this PR has been reviewed and has the lgtm label**, please")
		}
		fmt.Fprintf(&b, " assign %s for approval.", n.profiles(v.SuggestedCCs))
	}
	fmt.Fprintf(&b, " For more information see [the Code Review Process](%s).", n.cfg.PrProcessLink)
	return b.String()
}

func (n *notice) aboutIssue() string {
	switch {
	case !n.cfg.IssueRequired:
		return ""
	case n.issue > 0:
		return fmt.Sprintf("Associated issue: *#%d*", n.issue)
	case len(n.verdict.Waivers) > 0:
		return "Associated issue requirement bypassed by: " + links(n.verdict.Waivers)
	case n.byHand:
		return "*No associated issue*. Requirement bypassed by manually added approval."
	}
	return "*No associated issue*. Update pull-request body to add a reference to an issue, or get approval with `/approve no-issue`"
}

func (n *notice) details() string {
	open := ""
	if !n.settled() {
		open = "open"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<details %s>\nNeeds approval from an approver in each of these files:\n\n", open)
	for _, d := range n.verdict.Directories {
		b.WriteString(n.item(d) + "\n")
	}
	b.WriteString("\nApprovers can indicate their approval by writing `/approve` in a comment\nApprovers can cancel approval by writing `/approve cancel` in a comment\n</details>")
	return b.String()
}

// file is the file that names the owners of a directory.
func (n *notice) file(d approvers.Directory) string {
	if strings.HasSuffix(d.Dir, ".md") {
		return d.Dir // it carries its owners itself
	}
	return path.Join(d.Dir, n.ownersFile)
}

// item is the line of a directory.
func (n *notice) item(d approvers.Directory) string {
	file := n.file(d)
	link := fmt.Sprintf("[%s](%s)", file, n.linkURL.JoinPath(n.org, n.repo, "blob", n.branch, file))
	by := strings.Join(d.ApprovedBy, ",")
	switch {
	case d.Approved:
		return fmt.Sprintf("- ~~%s~~ [%s]", link, by)
	case by != "":
		return fmt.Sprintf("- **%s** [%s]\n  > More approvers are needed: some of its files can only be approved by others.", link, by)
	}
	return fmt.Sprintf("- **%s**", link)
}

// meta ends the notification in a form for programs.
func (n *notice) meta() string {
	ccs := n.verdict.CCs()
	if ccs == nil {
		ccs = []string{}
	}
	// JSON escapes what could end an HTML comment.
	b, err := json.Marshal(map[string][]string{"approvers": ccs})
	if err != nil {
		b = []byte(`{"approvers":[]}`) // lists of texts are always written
	}
	return fmt.Sprintf("<!-- META=%s -->", b)
}

// notifications are those among the bot's comments, the oldest first.
func notifications(comments []github.IssueComment, isBot func(github.User) bool) []github.IssueComment {
	return slices.DeleteFunc(slices.Clone(comments), func(c github.IssueComment) bool {
		return !isBot(c.User) || !notificationRe.MatchString(c.Body)
	})
}
