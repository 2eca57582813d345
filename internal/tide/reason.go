package tide

import "errors"

// Reason says why a pull request is where it is. Every pull request has exactly
// one, which its status, the pages and the log show.
type Reason struct {
	// Code is for programs.
	Code string
	// Sentence is for people. Until it is a judgement, what keeps a pull request from
	// the pool is the part of a sentence that follows "Not mergeable: ".
	Sentence string
	// Links lead to what the sentence is about.
	Links []string `json:",omitempty"`
}

// Codes that are used in several places.
const (
	codeBlocked       = "blocked"
	codeContexts      = "contexts"
	codeNoQuery       = "no-query"
	codeTesting       = "testing"
	codePooled        = "pooled"
	codePooledBlocked = "pooled-blocked"
	codeMerged        = "merged"
	codeMergeFailed   = "merge-failed"
)

// conflictReason is that of what does not go together with its base.
var conflictReason = Reason{Code: "conflict", Sentence: "it has a merge conflict"}

// Reasons of trouble that is not the pull request's: its text is for operators.
var (
	requirementsUnknown = Reason{Code: "requirements-unknown", Sentence: "it is not known at the moment what it requires"}
	mergeableUnknown    = Reason{Code: "mergeability-unknown", Sentence: "it is not known at the moment whether it can be merged"}
	contextsUnknown     = Reason{Code: "contexts-unknown", Sentence: "the contexts of its head cannot be read at the moment"}
)

// isTrouble tells whether a reason is trouble of this system.
func (r *Reason) isTrouble() bool {
	return r.Code == requirementsUnknown.Code || r.Code == mergeableUnknown.Code || r.Code == contextsUnknown.Code
}

// requirementReason is the reason for an error of finding out requirements.
func requirementReason(err error) Reason {
	var r *RequirementError
	if errors.As(err, &r) {
		return r.Reason
	}
	return requirementsUnknown
}
