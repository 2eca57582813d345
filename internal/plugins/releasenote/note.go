package releasenote

import (
	"regexp"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// blockRe finds the release note of a text: a fenced block called release-note, or
// the block below the words "Release note" of a template.
var blockRe = regexp.MustCompile("(?s)(?:Release note\\*\\*:\\s*(?:<!--[^<>]*-->\\s*)?```(?:release-note)?|```release-note)(.+?)```")

var noneRe = regexp.MustCompile(`(?i)^\W*(NONE|NO)\W*$`)

// noteOf is the release note of a text; there tells of a block, which may be empty.
func noteOf(text string) (note string, there bool) {
	m := blockRe.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	return strings.TrimSpace(m[1]), true
}

// replaceNote puts the block of another text into a text that has one.
func replaceNote(text, other string) (changed string, ok bool) {
	at, from := blockRe.FindStringSubmatchIndex(text), blockRe.FindStringSubmatch(other)
	if at == nil || from == nil {
		return "", false
	}
	return text[:at[2]] + from[1] + text[at[3]:], true
}

// realNote tells whether a note says something.
func realNote(note string) bool { return note != "" && !noneRe.MatchString(note) }

// decide is the label for a body, given the labels there are.
func decide(body string, labels []github.Label) string {
	note, _ := noteOf(body)
	deprecates := github.HasLabel(plugins.LabelDeprecation, labels)
	switch {
	case realNote(note) && strings.Contains(strings.ToLower(note), "action required"):
		return plugins.LabelReleaseNoteActionRequired
	case realNote(note):
		return plugins.LabelReleaseNote
	case deprecates:
		return plugins.LabelReleaseNoteNeeded
	case note != "" || github.HasLabel(plugins.LabelReleaseNoteNone, labels):
		return plugins.LabelReleaseNoteNone
	}
	return plugins.LabelReleaseNoteNeeded
}
