package plugins

import "regexp"

// closingRe finds words by which the forge closes an issue when a commit reaches
// the default branch.
var closingRe = regexp.MustCompile(`(?i)\b(?:close[sd]?|fix(?:es|ed)?|resolve[sd]?)[\s:]+(?:[\w.-]+/[\w.-]+)?#\d+`)

// ClosesIssue tells whether a title or a message of a commit would close an issue.
// A mere mention does not.
func ClosesIssue(text string) bool { return closingRe.MatchString(text) }

// ReviewRequestRe finds the commands by which people choose reviewers: whether one
// takes somebody off, and the names.
var ReviewRequestRe = regexp.MustCompile(`(?mi)^/(un)?cc((?:[ \t]+@?[-/\w]+)*)[ \t]*\r?$`)
