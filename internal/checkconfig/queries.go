package checkconfig

import (
	"fmt"
	"slices"
	"strings"

	"prow/internal/config"
	"prow/internal/config/yamldec"
)

// query is a Tide query as it was written. Loading unites queries that differ
// only in their repositories, so those of the configuration have no place.
type query struct {
	config.TideQuery
	file         string
	field        string
	line, column int
}

// SetPosition is called by the decoder with the place the query starts at.
func (q *query) SetPosition(line, column int) { q.line, q.column = line, column }

func (q *query) problem(format string, args ...any) config.Problem {
	return config.Problem{File: q.file, Line: q.line, Column: q.column, Field: q.field, Message: fmt.Sprintf(format, args...)}
}

// queries are the Tide queries of all files.
func (in *input) queries() []query {
	var out []query
	var d yamldec.Decoder
	for _, f := range in.files {
		var content struct {
			Tide struct {
				Queries []query `json:"queries"`
			} `json:"tide"`
		}
		// What is wrong here was told when the file was loaded.
		d.Decode(f.data, &content, yamldec.Options{})
		for i, q := range content.Tide.Queries {
			q.file, q.field = f.path, fmt.Sprintf("tide.queries[%d]", i)
			out = append(out, q)
		}
	}
	return out
}

// asksFor tells whether a query asks for a label. An element of labels may name
// alternatives, of which the label can be one.
func asksFor(q *config.TideQuery, label string) bool {
	return slices.ContainsFunc(q.Labels, func(element string) bool {
		return slices.Contains(strings.Split(element, ","), label)
	})
}

func forbids(q *config.TideQuery, label string) bool { return slices.Contains(q.MissingLabels, label) }

// speaksOf tells whether a query speaks of a place.
func speaksOf(q *config.TideQuery, p place) bool {
	return slices.Contains(q.Orgs, orgOf(p.name)) || slices.Contains(q.Repos, p.name)
}

// tidePlaces is where the queries for which want is true merge.
func tidePlaces(queries config.TideQueries, want func(*config.TideQuery) bool) places {
	var wanted config.TideQueries
	for i := range queries {
		if want(&queries[i]) {
			wanted = append(wanted, queries[i])
		}
	}
	return newPlaces(wanted.OrgExceptionsAndRepos())
}

func needsOkToTest(in *input) []config.Problem {
	var out []config.Problem
	for _, q := range in.queries() {
		if asksFor(&q.TideQuery, "lgtm") && forbids(&q.TideQuery, "needs-ok-to-test") {
			out = append(out, q.problem("asks for lgtm and forbids needs-ok-to-test; leave the latter out: who sets lgtm trusts the change, and its tests must run to be merged"))
		}
	}
	return out
}
