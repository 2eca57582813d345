package config

import (
	"regexp"
	"strings"
)

// DefaultTrigger is the trigger of a presubmit that names neither trigger nor
// rerun command.
func DefaultTrigger(name string) string { return `(?m)^/test( | .* )` + name + `,?($|\s.*)` }

// DefaultRerunCommand is the comment that goes with DefaultTrigger.
func DefaultRerunCommand(name string) string { return "/test " + name }

// triggerMatcher decides whether a comment asks for a job. The default
// trigger, which nearly every job has, is matched by hand: compiling thousands
// of expressions would cost most of a load. It reads the name literally, so
// that a dot in a name does not match other characters.
type triggerMatcher struct {
	name string
	re   *regexp.Regexp
}

func (t *triggerMatcher) matches(comment string) bool {
	if t.re != nil {
		return t.re.MatchString(comment)
	}
	return t.name != "" && matchesDefaultTrigger(t.name, comment)
}

// matchTrigger is for jobs that were not loaded by this package, such as those
// of a dump.
func matchTrigger(name, trigger, comment string) bool {
	if trigger == "" {
		return false
	}
	if trigger == DefaultTrigger(name) {
		return matchesDefaultTrigger(name, comment)
	}
	re, err := regexp.Compile(trigger)
	return err == nil && re.MatchString(comment)
}

// matchesDefaultTrigger tells whether some line of the comment is /test
// followed, after any other words, by the name, an optional comma, and the end
// of the line or a space.
func matchesDefaultTrigger(name, comment string) bool {
	for more := true; more; {
		var line string
		line, comment, more = strings.Cut(comment, "\n")
		rest, ok := strings.CutPrefix(line, "/test ")
		if !ok {
			continue
		}
		for at := 0; at <= len(rest); {
			i := strings.Index(rest[at:], name)
			if i < 0 {
				break
			}
			start := at + i
			end := start + len(name)
			if (start == 0 || rest[start-1] == ' ') && endsWord(rest[end:]) {
				return true
			}
			at = start + 1
		}
	}
	return false
}

func endsWord(rest string) bool {
	return rest == "" || isSpace(rest[0]) || rest[0] == ',' && (len(rest) == 1 || isSpace(rest[1]))
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\f' }
