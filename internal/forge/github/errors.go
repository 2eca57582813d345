package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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

var (
	// ErrTooManyRefs is returned where a ref is the prefix of several and equal to none.
	ErrTooManyRefs = errors.New("several refs begin with this name and none equals it")
	// ErrStateCannotBeChanged is returned where an issue or pull request cannot be
	// reopened, such as when its branch is gone.
	ErrStateCannotBeChanged = errors.New("state cannot be changed")
	// ErrFileNotFound is returned where a repository has no such file or directory.
	ErrFileNotFound = errors.New("file not found")
	// ErrHeadMismatch is returned where a branch is not updated because its head has moved.
	ErrHeadMismatch = errors.New("the head is not the expected one")
)

// RequestError is an answer of the forge that was not acceptable.
type RequestError struct {
	// Status is the HTTP status, Codes those that would have been acceptable.
	Status int
	Codes  []int
	// Message and Problems are what the forge says about it.
	Message  string
	Problems []Problem
	// DocumentationURL is where the forge explains it.
	DocumentationURL string
	body             string
}

// Problem is one of the reasons for which the forge refused a request.
type Problem struct {
	Resource, Field, Code, Message string
}

// maxErrorBody bounds what the text of an error has of a body, in bytes.
const maxErrorBody = 4 << 10

func newRequestError(status int, codes []int, body []byte) *RequestError {
	e := &RequestError{Status: status, Codes: codes, body: string(firstBytes(body, maxErrorBody))}
	var answer struct {
		Message string            `json:"message"`
		Errors  []json.RawMessage `json:"errors"`
		URL     string            `json:"documentation_url"`
	}
	if json.Unmarshal(body, &answer) != nil {
		// The list of errors may be a text.
		answer.Errors = nil
		var bare struct {
			Message string `json:"message"`
			Errors  string `json:"errors"`
		}
		if json.Unmarshal(body, &bare) == nil {
			e.Message, e.Problems = bare.Message, []Problem{{Message: bare.Errors}}
		}
		return e
	}
	e.Message, e.DocumentationURL = answer.Message, answer.URL
	for _, raw := range answer.Errors {
		var p Problem
		if json.Unmarshal(raw, &p) != nil {
			p = Problem{}
			if json.Unmarshal(raw, &p.Message) != nil {
				continue
			}
		}
		e.Problems = append(e.Problems, p)
	}
	return e
}

func (e *RequestError) Error() string {
	codes := make([]string, len(e.Codes))
	for i, code := range e.Codes {
		codes[i] = strconv.Itoa(code)
	}
	return fmt.Sprintf("status code %d not one of [%s], body: %s", e.Status, strings.Join(codes, " "), e.body)
}

// says tells whether the forge gave a reason with the text.
func (e *RequestError) says(text string) bool {
	for _, p := range e.Problems {
		if strings.Contains(p.Message, text) {
			return true
		}
	}
	return false
}

func requestError(err error) *RequestError {
	var e *RequestError
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// StatusCode is the HTTP status of a refused request, 0 where err is none.
func StatusCode(err error) int {
	if e := requestError(err); e != nil {
		return e.Status
	}
	return 0
}

// IsNotFound tells whether the forge answered 404, or says that another server did.
func IsNotFound(err error) bool {
	e := requestError(err)
	return e != nil && (e.Status == http.StatusNotFound || e.says("status code 404"))
}

// IsForbidden tells whether the forge answered 403 for reasons other than its
// limits or missing scopes.
func IsForbidden(err error) bool { return StatusCode(err) == http.StatusForbidden }

// IsUnprocessable tells whether the forge answered 422.
func IsUnprocessable(err error) bool { return StatusCode(err) == http.StatusUnprocessableEntity }

// message is the text with which the forge refused a request.
func message(err error) string {
	if e := requestError(err); e != nil {
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

// reopenError classifies the refusal to reopen an issue or pull request.
func reopenError(err error) error {
	if e := requestError(err); e != nil && (e.says("state cannot be changed.") || strings.Contains(e.Message, "state cannot be changed.")) {
		return &kindError{kind: ErrStateCannotBeChanged, err: err}
	}
	return err
}

// kindError adds a kind to an error without changing its text.
type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.kind.Error() + ": " + e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

// MissingUsersError lists the logins to which a request was not applied.
type MissingUsersError struct {
	Users  []string
	Action string
	// Err is what the forge said, nil if it said nothing.
	Err error
}

func (e *MissingUsersError) Error() string { return usersError("could not", e.Action, e.Users, e.Err) }

// Unwrap returns what the forge said.
func (e *MissingUsersError) Unwrap() error { return e.Err }

// ExtraUsersError lists the logins that are still there although they were to go.
type ExtraUsersError struct {
	Users  []string
	Action string
}

func (e *ExtraUsersError) Error() string { return usersError("could not", e.Action, e.Users, nil) }

func usersError(could, action string, users []string, err error) string {
	text := could + " " + action + ": " + strings.Join(users, ", ")
	if err != nil {
		text += ": " + err.Error()
	}
	return text
}
