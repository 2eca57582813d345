package plugins

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"prow/internal/forge/github"
)

// aboutBot ends every comment that answers somebody.
const aboutBot = "Commands are read from comments that begin a line with them; the command help page lists all of them."

// maxQuote is how many bytes of a comment are quoted at most; the forge takes
// comments of 64 KiB, and nobody reads that much twice.
const maxQuote = 8 << 10

// Reply answers a comment: the author is mentioned, the message comes first, and
// the comment is quoted below, where it notifies nobody.
func Reply(body, link, login, message string) string {
	if len(body) > maxQuote {
		cut := maxQuote
		for !utf8.RuneStart(body[cut]) {
			cut--
		}
		body = body[:cut] + "\n[...]"
	}
	quoted := "> " + strings.ReplaceAll(Mute(body), "\n", "\n> ")
	return ReplyWithReason(login, message, fmt.Sprintf("In response to [this](%s):\n\n%s\n", link, quoted))
}

// ReplyWithReason answers somebody and gives a reason instead of a quotation.
func ReplyWithReason(login, message, reason string) string {
	return fmt.Sprintf("@%s: %s\n\n<details>\n\n%s\n\n%s\n</details>", login, message, reason, aboutBot)
}

// Say is a comment that answers nobody.
func Say(message string) string {
	return fmt.Sprintf("%s\n\n<details>\n\n%s\n</details>", message, aboutBot)
}

// mentionRe finds mentions; in an address of mail the @ follows a letter.
var mentionRe = regexp.MustCompile(`(^|[^A-Za-z0-9_.+-])@([A-Za-z0-9_])`)

// Mute makes what people wrote fit for a text of the bot's: it looks the same but
// mentions nobody, and no line of it is a command. The bot may mention whom the
// writer may not.
func Mute(text string) string {
	text = mentionRe.ReplaceAllString(text, "${1}@\u200b$2")
	if strings.HasPrefix(text, "/") {
		text = "\u200b" + text
	}
	return strings.ReplaceAll(text, "\n/", "\n\u200b/")
}

// Code shows what people wrote as code: it mentions nobody and means nothing.
func Code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "\n", " ", "\r", " ").Replace(text) + "`"
}

// Reply answers the text of an event.
func (a *Agent) Reply(ctx context.Context, e *github.CommentEvent, message string) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	if err := a.GitHub.CreateComment(ctx, org, repo, e.Number, Reply(e.Body, e.HTMLURL, e.User.Login, message)); err != nil {
		return fmt.Errorf("answering on %s/%s#%d: %w", org, repo, e.Number, err)
	}
	return nil
}

// SayOnce comments, unless the bot has made that very comment before, because of
// whatever event.
func (a *Agent) SayOnce(ctx context.Context, org, repo string, number int, body string) error {
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil {
		return fmt.Errorf("commenting on %s/%s#%d: %w", org, repo, number, err)
	}
	comments, err := a.GitHub.ListIssueComments(ctx, org, repo, number)
	if err != nil {
		return fmt.Errorf("looking for comments of the bot on %s/%s#%d: %w", org, repo, number, err)
	}
	if slices.ContainsFunc(comments, func(c github.IssueComment) bool { return sameText(c.Body, body) && isBot(c.User) }) {
		return nil
	}
	if err := a.GitHub.CreateComment(ctx, org, repo, number, body); err != nil {
		return fmt.Errorf("commenting on %s/%s#%d: %w", org, repo, number, err)
	}
	return nil
}

// KeepComment makes text the only comment of the bot that contains marker; an empty
// text removes all. One that says the same already stays, so that nobody is notified
// of nothing new.
func (a *Agent) KeepComment(ctx context.Context, org, repo string, number int, marker, text string) error {
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil {
		return fmt.Errorf("commenting on %s/%s#%d: %w", org, repo, number, err)
	}
	comments, err := a.GitHub.ListIssueComments(ctx, org, repo, number)
	if err != nil {
		return fmt.Errorf("looking for comments of the bot on %s/%s#%d: %w", org, repo, number, err)
	}
	var errs []error
	there := text == ""
	for _, c := range comments {
		switch {
		case !strings.Contains(c.Body, marker) || !isBot(c.User):
		case !there && sameText(c.Body, text):
			there = true
		default:
			errs = append(errs, a.GitHub.DeleteComment(ctx, org, repo, c.ID))
		}
	}
	if !there {
		errs = append(errs, a.GitHub.CreateComment(ctx, org, repo, number, text))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("replacing a comment of the bot on %s/%s#%d: %w", org, repo, number, err)
	}
	return nil
}

// sameText compares texts as the forge may have stored them.
func sameText(a, b string) bool {
	normal := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r", "")) }
	return normal(a) == normal(b)
}

// Pruner deletes outdated comments of the bot on an issue or pull request.
func (a *Agent) Pruner(org, repo string, number int) *Pruner {
	return &Pruner{Client: a.GitHub, Org: org, Repo: repo, Number: number, Log: a.Log}
}
