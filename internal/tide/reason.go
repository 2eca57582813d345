package tide

import "errors"

// Reason says why a pull request is where it is. Every pull request has exactly
// one, which its status, the pages and the log show.
type Reason struct {
	// Code is for programs.
	Code string
	// Sentence is for people.
	Sentence string
	// Links lead to what the sentence is about.
	Links []string `json:",omitempty"`
}

// reasonOf is the reason that an error carries, or one that says the text of the
// error to operators only.
func reasonOf(err error, code, sentence string) Reason {
	var r *RequirementError
	if errors.As(err, &r) {
		return r.Reason
	}
	return Reason{Code: code, Sentence: sentence}
}
