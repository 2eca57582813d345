package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"prow/internal/config/yamldec"
)

// Problem is one mistake in the configuration, told so that its author finds
// it: where it stands, what was found and what was expected.
type Problem struct {
	// File is the path of the file; for in-repo configuration, within the repository.
	File string `json:"file,omitempty"`
	// Line counts from 1; 0 is unknown.
	Line int `json:"line,omitempty"`
	// Column counts from 1; 0 is unknown.
	Column int `json:"column,omitempty"`
	// Job is the name of the job, where the mistake lies in one.
	Job string `json:"job,omitempty"`
	// Field is the path of the value, within the job or within the file.
	Field string `json:"field,omitempty"`
	// Message tells what was found and what was expected.
	Message string `json:"message"`
	// Kind tells mistakes of the file format from broken rules, which have none.
	Kind yamldec.Kind `json:"kind,omitempty"`

	// startLine and startColumn are where the map starts that holds the field,
	// and within is the path of the field there; 0 is the whole file.
	startLine, startColumn int
	within                 string
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
			if p.Column > 0 {
				fmt.Fprintf(&b, ":%d", p.Column)
			}
		}
		b.WriteString(": ")
	}
	if p.Job != "" {
		b.WriteString("job " + p.Job + ": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Errors are all problems of a load, ordered by place.
type Errors []Problem

// Error has one line for each problem, and a line that counts them if there
// are several.
func (e Errors) Error() string {
	if len(e) == 1 {
		return e[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems", len(e))
	for _, p := range e {
		b.WriteString("\n" + p.String())
	}
	return b.String()
}

// Problems returns the problems an error of a load consists of; an error of
// another kind is one problem without a place. The JSON form of a Problem is
// for machines.
func Problems(err error) []Problem {
	var list Errors
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list):
		return list
	}
	return []Problem{{Message: err.Error()}}
}

// fieldReporter records that a field breaks a rule.
type fieldReporter func(field, format string, args ...any)

// problems collects from several goroutines.
type problems struct {
	mu   sync.Mutex
	list []Problem
	// most ends the collection; 0 is no limit.
	most int
}

func (ps *problems) add(list ...Problem) {
	if len(list) == 0 {
		return
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.most > 0 {
		list = list[:min(len(list), ps.most-len(ps.list))]
	}
	ps.list = append(ps.list, list...)
}

// full tells that there is no use in looking for more.
func (ps *problems) full() bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.most > 0 && len(ps.list) >= ps.most
}

// inFile returns a reporter for the sections of a file.
func (ps *problems) inFile(file string) fieldReporter {
	return func(field, format string, args ...any) {
		ps.add(Problem{File: file, Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

// sorted returns what was collected by place, with the line of every field.
// read returns the content of a file, as it was when it was parsed.
func (ps *problems) sorted(read func(file string) []byte) Errors {
	list := withoutEchoes(ps.list)
	locate(list, read)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Job, b.Job), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(list, func(a, b Problem) bool { return a == b })
}

// withoutEchoes drops broken rules about values that could not be read anyway.
func withoutEchoes(list []Problem) []Problem {
	type place struct{ file, field string }
	unread := map[place]bool{}
	for _, p := range list {
		if p.Kind == yamldec.Type {
			unread[place{p.File, p.Field}] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(p Problem) bool {
		return p.Kind == "" && p.Job == "" && unread[place{p.File, p.Field}]
	})
}

// locate finds the lines of fields by reading the files again. Remembering the
// place of every value would cost far more than the mistakes are worth.
func locate(list []Problem, read func(file string) []byte) {
	roots := map[string]*yaml.Node{}
	for i := range list {
		p := &list[i]
		if p.Line > 0 || p.File == "" || p.Field == "" && p.startLine == 0 {
			continue
		}
		root, known := roots[p.File]
		if !known {
			root, _ = yamldec.Parse(read(p.File), yamldec.Limits{})
			roots[p.File] = root
		}
		at, path := root, p.Field
		if p.startLine > 0 {
			at, path = yamldec.NodeAt(root, p.startLine, p.startColumn), p.within
		}
		if at == nil {
			p.Line = p.startLine
			continue
		}
		p.Line, p.Column = yamldec.Locate(at, path)
	}
}

// fromDecoder converts the problems of a decoded file; the second list holds
// those that are harmless.
func fromDecoder(file string, list []yamldec.Problem) (errs, warnings []Problem) {
	for _, p := range list {
		out := Problem{File: file, Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message, Kind: p.Kind}
		if p.Kind == yamldec.DuplicateKey {
			warnings = append(warnings, out)
		} else {
			errs = append(errs, out)
		}
	}
	return errs, warnings
}
