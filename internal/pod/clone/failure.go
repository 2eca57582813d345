package clone

import (
	"strings"

	"prow/api/artifacts"
)

// failure is why a clone failed, as its record tells it.
type failure struct {
	// reason is one of the artifacts.Clone constants.
	reason string
	// err says it in one sentence, which names no credentials once it is masked.
	err error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// How often a fetch is tried, by what its messages say.
const (
	// onceOnly is for what this machine decides: asking again changes nothing.
	onceOnly = 1
	// quickly is for what the host decides. For a moment it may not know a new
	// commit or token yet, so it is asked again for a second and a half.
	quickly = 5
	// patiently is for everything that may pass, which takes a minute.
	patiently = 10
)

// symptom is a part of git's messages and what it means.
type symptom struct {
	text   string
	reason string
	tries  int
}

// symptoms are in order: the first that is found decides. What names its cause
// comes first, what also follows from other causes last.
func symptoms() []symptom {
	return []symptom{
		{"returned error: 429", artifacts.CloneUnavailable, patiently},
		{"returned error: 5", artifacts.CloneUnavailable, patiently},
		{"Could not resolve host", artifacts.CloneUnavailable, patiently},
		{"Connection refused", artifacts.CloneUnavailable, patiently},
		{"Connection timed out", artifacts.CloneUnavailable, patiently},
		{"Connection reset", artifacts.CloneUnavailable, patiently},
		{"Connection closed", artifacts.CloneUnavailable, patiently},
		{"Operation timed out", artifacts.CloneUnavailable, patiently},
		{"Operation too slow", artifacts.CloneUnavailable, patiently},
		{"Failed to connect", artifacts.CloneUnavailable, patiently},

		{"No space left on device", artifacts.CloneError, onceOnly},
		{"transport '", artifacts.CloneInvalid, onceOnly},
		{"unable to find remote helper", artifacts.CloneInvalid, onceOnly},
		{"invalid refspec", artifacts.CloneInvalid, onceOnly},
		{"Host key verification failed", artifacts.CloneUnauthorized, onceOnly},
		{"server certificate verification failed", artifacts.CloneUnauthorized, onceOnly},
		{"SSL certificate problem", artifacts.CloneUnauthorized, onceOnly},

		{"Authentication failed", artifacts.CloneUnauthorized, quickly},
		{"could not read Username", artifacts.CloneUnauthorized, quickly},
		{"could not read Password", artifacts.CloneUnauthorized, quickly},
		{"Permission denied", artifacts.CloneUnauthorized, quickly},
		{"returned error: 401", artifacts.CloneUnauthorized, quickly},
		{"returned error: 403", artifacts.CloneUnauthorized, quickly},
		{"couldn't find remote ref", artifacts.CloneNotFound, quickly},
		{"not our ref", artifacts.CloneNotFound, quickly},
		{"Server does not allow request for unadvertised object", artifacts.CloneNotFound, quickly},
		{"does not appear to be a git repository", artifacts.CloneNotFound, quickly},
		{"Repository not found", artifacts.CloneNotFound, quickly},
		{"' not found", artifacts.CloneNotFound, quickly},
		{"does not exist", artifacts.CloneNotFound, quickly},
		{"returned error: 4", artifacts.CloneError, quickly},

		{"early EOF", artifacts.CloneUnavailable, patiently},
		{"unexpected disconnect", artifacts.CloneUnavailable, patiently},
		{"the remote end hung up", artifacts.CloneUnavailable, patiently},
		{"RPC failed", artifacts.CloneUnavailable, patiently},
	}
}

// classify tells from the messages of a fetch that failed what is wrong, and how
// often it is worth trying in all.
func classify(output string) (reason string, tries int) {
	for _, s := range symptoms() {
		if strings.Contains(output, s.text) {
			return s.reason, s.tries
		}
	}
	return artifacts.CloneError, patiently
}

// lastWords is the line by which git says why it gave up: its last "fatal" or
// "error", else its last line.
func lastWords(output string) string {
	last, told := "", ""
	for line := range strings.SplitSeq(output, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		last = line
		if strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "error: ") {
			told = line
		}
	}
	if told == "" {
		told = last
	}
	const limit = 500
	if len(told) > limit {
		told = strings.ToValidUTF8(told[:limit], "") + "…"
	}
	return told
}
