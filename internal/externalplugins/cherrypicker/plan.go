package cherrypicker

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

var commandRe = regexp.MustCompile(`(?m)^(?:/cherrypick|/cherry-pick)[ \t]+(\S.*)$`)

// releaseNoteRe is the release note of a pull request's text.
var releaseNoteRe = regexp.MustCompile("(?s)(?:Release note\\*\\*:\\s*(?:<!--[^<>]*-->\\s*)?```(?:release-note)?|```release-note)(.+?)```")

// maxChain bounds the branches of one command, and maxTargets those of one text.
const (
	maxChain   = 20
	maxTargets = 20
)

// request is the wish to have a pull request on another branch.
type request struct {
	target string
	// chain are further branches, to which the copy is picked afterwards.
	chain []string
	by    github.User
	// label tells that a label asked for it.
	label bool
}

// requestsIn reads the commands of a text, sorted by target. The first for a
// branch counts.
func requestsIn(text string, by github.User) []request {
	byTarget := map[string]request{}
	for _, m := range commandRe.FindAllStringSubmatch(plugins.CommandText(text), maxTargets) {
		words := strings.Fields(m[1])
		if len(words) == 0 {
			continue
		}
		if _, ok := byTarget[words[0]]; !ok {
			byTarget[words[0]] = request{target: words[0], chain: words[1:min(len(words), maxChain)], by: by}
		}
	}
	return sorted(byTarget)
}

func sorted(byTarget map[string]request) (out []request) {
	for _, target := range slices.Sorted(maps.Keys(byTarget)) {
		out = append(out, byTarget[target])
	}
	return out
}

// requestsOf collects all that was ever asked for on a pull request, in its text,
// in comments and by labels, by those who may ask: sorted by target, for each the
// first who asked.
func requestsOf(pr *github.PullRequest, comments []github.IssueComment, labels []github.Label, prefix string, mayAsk func(github.User) (bool, error)) ([]request, error) {
	all := requestsIn(pr.Body, pr.User)
	for _, c := range comments {
		all = append(all, requestsIn(c.Body, c.User)...)
	}
	for _, l := range labels {
		if target, ok := strings.CutPrefix(l.Name, prefix); ok && target != "" {
			all = append(all, request{target: target, by: pr.User, label: true})
		}
	}
	byTarget := map[string]request{}
	for _, r := range all {
		if _, ok := byTarget[r.target]; ok {
			continue
		}
		may, err := mayAsk(r.by)
		if err != nil {
			return nil, err
		}
		if may {
			byTarget[r.target] = r
		}
	}
	return sorted(byTarget), nil
}

// branchFor is the branch that holds a pull request's copy.
func branchFor(number int, target string) string {
	return fmt.Sprintf("cherry-pick-%d-to-%s", number, target)
}

// titleFor is the title of the copy.
func titleFor(title, base, target string) string {
	return fmt.Sprintf("[%s] %s", target, strings.Replace(title, "["+base+"] ", "", 1))
}

// bodyFor is the text of the copy. Its commands are those of the bot, so nothing
// in it but the release note is what somebody wrote, and that is in a fence.
func bodyFor(pr *github.PullRequest, r request, labels []github.Label, assign bool) string {
	blocks := []string{fmt.Sprintf("This is an automated cherry-pick of #%d", pr.Number)}
	if assign {
		blocks = append(blocks, "/assign "+r.by.Login)
	}
	if note := releaseNote(pr.Body); note != "" {
		blocks = append(blocks, note)
	}
	if len(r.chain) > 0 {
		blocks = append(blocks, "/cherrypick "+strings.Join(r.chain, " "))
	}
	var kinds []string
	for _, l := range labels {
		if kind, ok := strings.CutPrefix(l.Name, "kind/"); ok {
			kinds = append(kinds, "/kind "+kind)
		}
	}
	slices.Sort(kinds)
	if len(kinds) > 0 {
		blocks = append(blocks, strings.Join(kinds, "\n"))
	}
	return strings.Join(blocks, "\n\n")
}

func releaseNote(body string) string {
	m := releaseNoteRe.FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	note := strings.TrimSpace(m[1])
	if note == "" {
		return ""
	}
	return "```release-note\n" + note + "\n```"
}
