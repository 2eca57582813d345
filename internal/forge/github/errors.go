package github

import (
	"errors"
	"net/http"
	"strings"

	gogithub "github.com/google/go-github/v75/github"
)

// Kinds of refusals of a merge; test with errors.Is.
var (
	// ErrModifiedHead: the head moved since the caller looked.
	ErrModifiedHead = errors.New("the head of the pull request was modified")
	// ErrBaseModified: the base branch moved during the merge; trying again may help.
	ErrBaseModified = errors.New("the base branch was modified")
	// ErrPushUnauthorized: the branch is protected against this account.
	ErrPushUnauthorized = errors.New("not authorized to push to the branch")
	// ErrMergeMethodForbidden: the repository forbids the merge method.
	ErrMergeMethodForbidden = errors.New("the repository forbids this merge method")
	// ErrUnmergeable: the forge refuses for another reason.
	ErrUnmergeable = errors.New("the pull request is not mergeable")
)

// ErrTooManyRefs is returned where a ref is the prefix of several and equal to none.
var ErrTooManyRefs = errors.New("several refs begin with this name and none equals it")

// StatusCode is the HTTP status of a refused request, 0 where err is none.
func StatusCode(err error) int {
	var e *gogithub.ErrorResponse
	if errors.As(err, &e) && e.Response != nil {
		return e.Response.StatusCode
	}
	return 0
}

// IsNotFound tells whether the forge answered 404.
func IsNotFound(err error) bool { return StatusCode(err) == http.StatusNotFound }

// IsForbidden tells whether the forge answered 403.
func IsForbidden(err error) bool { return StatusCode(err) == http.StatusForbidden }

// IsUnprocessable tells whether the forge answered 422.
func IsUnprocessable(err error) bool { return StatusCode(err) == http.StatusUnprocessableEntity }

// message is the text with which the forge refused a request.
func message(err error) string {
	var e *gogithub.ErrorResponse
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}

// mergeError classifies the refusal of a merge by status and text.
func mergeError(err error) error {
	kind := ErrUnmergeable
	switch StatusCode(err) {
	case http.StatusConflict:
		kind = ErrModifiedHead
	case http.StatusMethodNotAllowed:
		m := message(err)
		switch {
		case strings.Contains(m, "Base branch was modified"):
			kind = ErrBaseModified
		case strings.Contains(m, "You're not authorized to push to this branch"):
			kind = ErrPushUnauthorized
		case strings.Contains(m, "Merge commits are not allowed on this repository"):
			kind = ErrMergeMethodForbidden
		}
	default:
		return err
	}
	return &kindError{kind: kind, err: err}
}

// kindError adds a kind to an error without changing its text.
type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.kind.Error() + ": " + e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }
