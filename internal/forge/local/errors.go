package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// apiError is an answer in GitHub's error shape.
type apiError struct {
	Status  int
	Message string
	Errors  []obj
	// Docs replaces the general link to the manual; clients tell errors apart by it.
	Docs string
	// RetryAfter is in seconds, 0 for no such header.
	RetryAfter int
}

func (e *apiError) Error() string {
	msg := e.Message
	for _, d := range e.Errors {
		msg += fmt.Sprintf(": %v %v is %v", d["resource"], d["field"], d["code"])
		if m, ok := d["message"]; ok {
			msg += fmt.Sprintf(" (%v)", m)
		}
	}
	return msg
}

// docsURL stands where GitHub links its manual.
const docsURL = "https://docs.github.com/rest"

func (e *apiError) json() obj {
	docs := e.Docs
	if docs == "" {
		docs = docsURL
	}
	o := obj{"message": e.Message, "documentation_url": docs, "status": itoa(e.Status)}
	if e.Errors != nil {
		o["errors"] = e.Errors
	}
	return o
}

// invalid is GitHub's "Validation Failed" about one field.
func invalid(resource, field, code, message string) error {
	e := obj{"resource": resource, "field": field, "code": code}
	if message != "" {
		e["message"] = message
	}
	return &apiError{Status: http.StatusUnprocessableEntity, Message: "Validation Failed", Errors: []obj{e}}
}

func unprocessable(message string) error {
	return &apiError{Status: http.StatusUnprocessableEntity, Message: message}
}

// invalidRequest is GitHub's complaint about a body as a whole.
func invalidRequest(what string) error {
	return unprocessable("Invalid request.\n\n" + what)
}

func notAllowed(message string) error {
	return &apiError{Status: http.StatusMethodNotAllowed, Message: message}
}

func forbidden(message string) error {
	return &apiError{Status: http.StatusForbidden, Message: message}
}

func badRequest(message string) error {
	return &apiError{Status: http.StatusBadRequest, Message: message}
}

var (
	errAPINotFound  = &apiError{Status: http.StatusNotFound, Message: "Not Found"}
	errRequiresAuth = &apiError{Status: http.StatusUnauthorized, Message: "Requires authentication"}
	errBadToken     = &apiError{Status: http.StatusUnauthorized, Message: "Bad credentials"}
)

// asAPIError classifies an error once, at the edge. The second result is true
// for failures of the forge itself, which belong in the log.
func asAPIError(err error) (*apiError, bool) {
	var ae *apiError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &ae):
		return ae, false
	case errors.Is(err, errNotFound), errors.Is(err, errNoObject):
		return errAPINotFound, false
	case errors.Is(err, errBadCredentials):
		return errBadToken, false
	case errors.As(err, &tooLarge):
		return &apiError{Status: http.StatusRequestEntityTooLarge, Message: "Request body is too large"}, false
	case errors.Is(err, context.Canceled):
		return &apiError{Status: 499, Message: "Client closed request"}, false
	}
	return &apiError{Status: http.StatusInternalServerError, Message: "Server Error"}, true
}
