package spyglass

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxRequest bounds the parameter req, in bytes; servers refuse such addresses anyway.
	maxRequest = 256 << 10
	// maxNames is how many files one request may name.
	maxNames = 10_000
)

// Request is the parameter req of the addresses of lenses.
type Request struct {
	// Artifacts are files that the lens is to show; nil stands for all that it is
	// configured for.
	Artifacts []string `json:"artifacts,omitempty"`
	// Index is that of the entry in the configuration.
	Index int `json:"index"`
	// Source names the run.
	Source string `json:"src"`
}

// ErrNoRequest tells that the parameter is missing.
var ErrNoRequest = errors.New("the parameter req is needed")

// ParseRequest reads the parameter. Whatever it says is only a wish: see Choose.
func ParseRequest(text string) (Request, error) {
	var out Request
	switch {
	case text == "":
		return out, ErrNoRequest
	case len(text) > maxRequest:
		return out, fmt.Errorf("the parameter req is longer than %d bytes", maxRequest)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return Request{}, fmt.Errorf("the parameter req is not as expected, {\"artifacts\":[...],\"index\":0,\"src\":\"...\"}: %w", err)
	}
	if len(out.Artifacts) > maxNames {
		return Request{}, fmt.Errorf("the parameter req names %d files, more than %d", len(out.Artifacts), maxNames)
	}
	if !utf8.ValidString(out.Source) || strings.ContainsAny(out.Source, "\x00\r\n") {
		return Request{}, errors.New("the parameter req has a src with characters that no name has")
	}
	return out, nil
}

// String is the parameter, before it is escaped.
func (r Request) String() string {
	text, _ := json.Marshal(r) // strings and a number
	return string(text)
}

// Choose finds the entry that a request for a lens means: that with its index, which
// must be of this lens.
func (r Request) Choose(entries []Entry, name string) (*Entry, error) {
	if r.Index < 0 || r.Index >= len(entries) {
		return nil, fmt.Errorf("there is no lens number %d: %d are configured", r.Index, len(entries))
	}
	if e := &entries[r.Index]; e.Name == name {
		return e, nil
	}
	return nil, fmt.Errorf("lens number %d is %q, not %q", r.Index, entries[r.Index].Name, name)
}

// Names are the files that a request may have of an entry, in order and each once;
// check tells of a name what is wrong with it.
func (r Request) Names(e *Entry, check func(string) error) ([]string, error) {
	for _, name := range r.Artifacts {
		if err := check(name); err != nil {
			return nil, err
		}
		if !e.Matches(name) {
			return nil, fmt.Errorf("the lens %q is not configured for %q", e.Name, name)
		}
	}
	out := slices.Clone(r.Artifacts)
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Actions of addresses of lenses.
const (
	Initial  = "iframe"
	Rerender = "rerender"
	Callback = "callback"
)

// ActionOf is how an endpoint calls an action.
func ActionOf(action string) string {
	if action == Initial {
		return "initial"
	}
	return action
}

// Question is what the endpoint of a lens is asked, as JSON.
type Question struct {
	Action string `json:"action"`
	Data   string `json:"data,omitempty"`
	// Config is the lens's own part of the configuration.
	Config json.RawMessage `json:"config,omitempty"`
	// ResourceRoot is below which this site serves the lens's files.
	ResourceRoot string   `json:"resourceRoot"`
	Artifacts    []string `json:"artifacts"`
	Source       string   `json:"ArtifactSource"`
	Index        int      `json:"index"`
}
