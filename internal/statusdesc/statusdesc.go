// Package statusdesc is the form in which descriptions of commit statuses tell
// the base commit that a result is about. The reporter writes it, and the merge
// automation reads it, so that a result outlives its ProwJob.
package statusdesc

import (
	"strings"
	"unicode/utf8"
)

// Limit is how long GitHub lets a description be.
const Limit = 140

const (
	// baseSHADelim comes before the base commit in a description; Tide looks for it.
	baseSHADelim = " BaseSHA:"
	// oldBaseSHADelim is its older spelling, still read.
	oldBaseSHADelim = " Basesha:"
	// shaLen is the length of a commit's name.
	shaLen = 40
	// padding sits the base commit at the right edge.
	padding = "\u2001"
	elision = " ... "
)

// Description joins a text for people and the base commit it is about, in at
// most 140 bytes: a short text is padded so that the commit sits at the right
// edge, a long one is shortened in its middle.
func Description(text, baseSHA string) string {
	suffix := ""
	if baseSHA != "" {
		suffix = baseSHADelim + baseSHA
	}
	room := Limit - len(suffix)
	if len(text) > room {
		return elide(text, room) + suffix
	}
	if suffix == "" {
		return text
	}
	return text + strings.Repeat(padding, (room-len(text))/len(padding)) + suffix
}

// elide shortens text to at most limit bytes by cutting its middle, on the
// borders of characters.
func elide(text string, limit int) string {
	half := (limit - len(elision)) / 2
	head, tail := half, len(text)-half
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + elision + text[tail:]
}

// BaseSHA finds the base commit in a description; "" where there is none.
func BaseSHA(description string) string {
	for _, delim := range []string{baseSHADelim, oldBaseSHADelim} {
		if parts := strings.Split(description, delim); len(parts) == 2 && len(parts[1]) == shaLen {
			return parts[1]
		}
	}
	return ""
}
