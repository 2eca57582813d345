package gerrittest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"prow/internal/forge/gerrit"
)

// predicate tells whether a change fulfils a query.
type predicate func(s *Server, number int, c *change) bool

// query is a query that is being read.
type query struct {
	words []string
	at    int
}

// parseQuery reads a query: terms beside each other, or with AND between them, must
// all be fulfilled; OR binds less, and a minus negates.
func parseQuery(text string) (predicate, error) {
	q := &query{words: words(text)}
	p, err := q.or()
	if err == nil && q.at < len(q.words) {
		err = httpError{http.StatusBadRequest, fmt.Sprintf("unexpected %q in the query", q.words[q.at])}
	}
	return p, err
}

// words splits a query; brackets are words, and quotes hold blanks together.
func words(text string) []string {
	var out []string
	word, quoted := "", false
	end := func() {
		if word != "" {
			out = append(out, word)
		}
		word = ""
	}
	for _, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && r == ' ':
			end()
		case !quoted && (r == '(' || r == ')'):
			if r == '(' && word == "-" {
				out, word = append(out, "-"), ""
			}
			end()
			out = append(out, string(r))
		default:
			word += string(r)
		}
	}
	end()
	return out
}

func (q *query) peek() string {
	if q.at < len(q.words) {
		return q.words[q.at]
	}
	return ""
}

func (q *query) or() (predicate, error) {
	left, err := q.and()
	for err == nil && q.peek() == "OR" {
		q.at++
		var right predicate
		before := left
		if right, err = q.and(); err == nil {
			left = func(s *Server, n int, c *change) bool { return before(s, n, c) || right(s, n, c) }
		}
	}
	return left, err
}

func (q *query) and() (predicate, error) {
	left, err := q.not()
	for err == nil && q.peek() != "" && q.peek() != ")" && q.peek() != "OR" {
		if q.peek() == "AND" {
			q.at++
		}
		var right predicate
		before := left
		if right, err = q.not(); err == nil {
			left = func(s *Server, n int, c *change) bool { return before(s, n, c) && right(s, n, c) }
		}
	}
	return left, err
}

func (q *query) not() (predicate, error) {
	word := q.peek()
	q.at++
	switch {
	case word == "-":
		inner, err := q.not()
		return func(s *Server, n int, c *change) bool { return !inner(s, n, c) }, err
	case word == "(":
		inner, err := q.or()
		if err == nil && q.peek() != ")" {
			err = httpError{http.StatusBadRequest, "a bracket is not closed in the query"}
		}
		q.at++
		return inner, err
	case strings.HasPrefix(word, "-"):
		inner, err := term(word[1:])
		return func(s *Server, n int, c *change) bool { return !inner(s, n, c) }, err
	}
	return term(word)
}

// term reads one operator.
func term(word string) (predicate, error) {
	operator, value, ok := strings.Cut(word, ":")
	bad := httpError{http.StatusBadRequest, fmt.Sprintf("Unsupported operator %s", word)}
	if !ok {
		return nil, bad
	}
	switch operator {
	case "status", "is":
		states := map[string]string{"open": gerrit.StatusNew, "merged": gerrit.StatusMerged, "abandoned": gerrit.StatusAbandoned}
		if state := states[value]; state != "" {
			return func(_ *Server, _ int, c *change) bool { return c.status == state }, nil
		}
		switch {
		case operator == "is" && value == "wip":
			return func(_ *Server, _ int, c *change) bool { return c.wip && c.status == gerrit.StatusNew }, nil
		case operator == "is" && value == "submittable":
			return func(s *Server, _ int, c *change) bool { return s.blocks(c) == "" }, nil
		}
		return nil, bad
	case "project":
		return func(_ *Server, _ int, c *change) bool { return c.project == value }, nil
	case "branch":
		return func(_ *Server, _ int, c *change) bool { return c.branch == strings.TrimPrefix(value, "refs/heads/") }, nil
	case "change":
		return func(_ *Server, n int, c *change) bool { return strconv.Itoa(n) == value || c.changeID == value }, nil
	case "label":
		name, vote, ok := strings.Cut(value, "=")
		wanted := 1 // without a value, one of +1 is meant
		if ok {
			var err error
			if wanted, err = strconv.Atoi(vote); err != nil {
				return nil, bad
			}
		}
		return func(_ *Server, _ int, c *change) bool {
			for _, v := range c.votes[name] {
				if v == wanted {
					return true
				}
			}
			return wanted == 0 && len(c.votes[name]) == 0
		}, nil
	}
	return nil, bad
}

// find returns one page of the changes that fulfil a query, updated last first.
func (s *Server) page(text string, start, n int) (numbers []int, more bool, err error) {
	fulfils, err := parseQuery(text)
	if err != nil {
		return nil, false, err
	}
	for i, c := range s.changes {
		if fulfils(s, i+1, c) {
			numbers = append(numbers, i+1)
		}
	}
	slices.SortFunc(numbers, func(a, b int) int { return s.changes[b-1].updated.Compare(s.changes[a-1].updated) })
	numbers = numbers[min(start, len(numbers)):]
	if n = min(n, s.MaxPage); len(numbers) > n {
		return numbers[:n], true, nil
	}
	return numbers, false, nil
}
