package verifyowners

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/owners"
	"prow/internal/plugins"
)

// What begins comments, and finds them again.
const (
	strangersMarker = "The following people are new in OWNERS files and are not trusted:"
	aliasesMarker   = "The file with the aliases of owners is invalid:"
	emptyMarker     = "These aliases of owners have no members:"
)

// maxListed is how many people, files or aliases a comment lists at most.
const maxListed = 50

// fileProblem is what is wrong with a file.
type fileProblem struct {
	change github.PullRequestChange
	err    error
}

// findings are what a check found.
type findings struct {
	aliases      error
	emptyAliases []string
	wrong        []fileProblem
	strangers    []stranger
}

// any tells whether something is wrong; aliases without members are only untidy.
func (f *findings) any() bool {
	return f.aliases != nil || len(f.wrong) > 0 || len(f.strangers) > 0
}

// comment is a text by what it begins with; an empty one is not to be there.
type comment struct{ marker, text string }

// comments are those about everything but single files.
func (f *findings) comments(joinURL string, names owners.Settings) []comment {
	broken, untidy, untrusted := "", "", ""
	if f.aliases != nil {
		broken = plugins.Say(aliasesMarker + "\n\n" + plugins.Code(names.Aliases) + ": " + plugins.Code(f.aliases.Error()))
	}
	if len(f.emptyAliases) > 0 {
		untidy = plugins.Say(emptyMarker + " " + quoted(f.emptyAliases) + ". Please take them out of " + plugins.Code(names.Aliases) + ".")
	}
	if len(f.strangers) > 0 {
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n\n", strangersMarker)
		for i, s := range f.strangers {
			if i == maxListed {
				fmt.Fprintf(&b, "- and %d more\n", len(f.strangers)-i)
				break
			}
			fmt.Fprintf(&b, "- %s: %s (%s)\n", plugins.Code(s.login), s.reason, quoted(s.files))
		}
		fmt.Fprintf(&b, "\nThey can be owners once they have [joined](%s), or are trusted otherwise. After that comment `/verify-owners` to have this looked at again.", joinURL)
		untrusted = plugins.Say(b.String())
	}
	return []comment{{aliasesMarker, broken}, {emptyMarker, untidy}, {strangersMarker, untrusted}}
}

func quoted(names []string) string {
	var out []string
	for i, name := range names {
		if i == maxListed {
			out = append(out, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		out = append(out, plugins.Code(name))
	}
	return strings.Join(out, ", ")
}

// draft is the review that tells of wrong files: at the line where that is known.
func draft(head string, wrong []fileProblem) github.DraftReview {
	count := "1 OWNERS file is invalid."
	if len(wrong) != 1 {
		count = fmt.Sprintf("%d OWNERS files are invalid.", len(wrong))
	}
	var inBody strings.Builder
	r := github.DraftReview{CommitID: head, Event: github.ReviewComments}
	for _, w := range wrong {
		text := plugins.Mute(w.err.Error())
		if w.change.Patch == "" || len(r.Comments) == maxListed {
			// The forge shows no changes that a comment could stand at.
			fmt.Fprintf(&inBody, "\n- %s %s", plugins.Code(w.change.Filename), text)
			continue
		}
		r.Comments = append(r.Comments, github.DraftReviewComment{
			Path: w.change.Filename, Position: position(w.change.Patch, lineOf(w.err)), Body: "This file " + text + ".",
		})
	}
	if inBody.Len() > 0 {
		count += "\n" + inBody.String()
	}
	r.Body = plugins.Say(count)
	return r
}

// review tells of wrong files, unless the bot has said the same about the head.
func review(ctx context.Context, a *plugins.Agent, pr *github.PullRequest, wrong []fileProblem) error {
	if len(wrong) == 0 {
		return nil
	}
	org, repo := pr.Base.Repo.Owner.Login, pr.Base.Repo.Name
	failed := func(err error) error {
		return fmt.Errorf("reviewing %s/%s#%d: %w", org, repo, pr.Number, err)
	}
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil {
		return failed(err)
	}
	reviews, err := a.GitHub.ListReviews(ctx, org, repo, pr.Number)
	if err != nil {
		return failed(err)
	}
	r := draft(pr.Head.SHA, wrong)
	if slices.ContainsFunc(reviews, func(have github.Review) bool {
		return have.CommitID == r.CommitID && strings.TrimSpace(strings.ReplaceAll(have.Body, "\r", "")) == strings.TrimSpace(r.Body) && isBot(have.User)
	}) {
		return nil
	}
	if err := a.GitHub.CreateReview(ctx, org, repo, pr.Number, r); err != nil {
		return failed(err)
	}
	return nil
}
