package gerrittest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"prow/internal/forge/gerrit"
)

// httpError is an answer that is no success; Gerrit sends its text as it is.
type httpError struct {
	code int
	text string
}

func (e httpError) Error() string { return e.text }

var notFound = httpError{http.StatusNotFound, "Not found"}

// options of changes that are understood.
var knownOptions = []string{"CURRENT_REVISION", "ALL_REVISIONS", "CURRENT_COMMIT", "CURRENT_FILES", "MESSAGES", "LABELS", "DETAILED_ACCOUNTS"}

// rest answers a request of the REST API.
func (s *Server) rest(w http.ResponseWriter, r *http.Request) {
	path, authenticated := strings.CutPrefix(r.URL.EscapedPath(), "/a/")
	if authenticated && !isRobot(r) {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	var parts []string
	for element := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		plain, err := url.QueryUnescape(element)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		parts = append(parts, plain)
	}
	s.mu.Lock()
	answer, err := s.route(r, parts, authenticated)
	s.mu.Unlock()
	var refused httpError
	switch {
	case errors.As(err, &refused):
		http.Error(w, refused.text, refused.code)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_, _ = w.Write([]byte(")]}'\n")) // a client that left is its own business
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func isRobot(r *http.Request) bool {
	if c, err := r.Cookie("o"); err == nil && c.Value == Cookie {
		return true
	}
	user, password, ok := r.BasicAuth()
	return ok && user == Robot && password == Password
}

// route finds what a request is about. The caller holds s.mu.
func (s *Server) route(r *http.Request, path []string, authenticated bool) (any, error) {
	get, post := r.Method == http.MethodGet, r.Method == http.MethodPost
	if post && !authenticated {
		return nil, httpError{http.StatusForbidden, "Authentication required"}
	}
	switch {
	case get && slices.Equal(path, []string{"changes"}):
		return s.list(r.URL.Query())
	case get && slices.Equal(path, []string{"accounts", "self"}):
		if !authenticated {
			return nil, httpError{http.StatusForbidden, "Authentication required"}
		}
		return map[string]any{"_account_id": 1, "name": "Prow", "username": Robot}, nil
	case get && len(path) == 4 && path[0] == "projects" && path[2] == "branches":
		revision := s.branch(path[1], path[3])
		if revision == "" {
			return nil, notFound
		}
		return map[string]any{"ref": "refs/heads/" + path[3], "revision": revision}, nil
	case len(path) < 2 || path[0] != "changes":
		return nil, notFound
	}
	number, c := s.byID(path[1])
	if c == nil {
		return nil, notFound
	}
	rest := path[2:]
	if len(rest) > 1 && rest[0] == "revisions" {
		at := slices.IndexFunc(c.patchsets, func(p patchset) bool { return p.sha == rest[1] })
		if rest[1] == "current" {
			at = len(c.patchsets) - 1
		}
		if at < 0 {
			return nil, notFound
		}
		return s.revision(r, number, c, at, rest[2:])
	}
	switch {
	case get && len(rest) == 0:
		return s.info(number, c, r.URL.Query()["o"])
	case get && slices.Equal(rest, []string{"submitted_together"}):
		return s.together(c, r.URL.Query()["o"])
	case post && slices.Equal(rest, []string{"submit"}):
		return s.submitted(number, c)
	}
	return nil, notFound
}

// byID finds a change by its number, its Change-Id or its full id.
func (s *Server) byID(id string) (int, *change) {
	for i, c := range s.changes {
		if id == strconv.Itoa(i+1) || id == c.changeID || id == c.project+"~"+c.branch+"~"+c.changeID || id == fmt.Sprintf("%s~%d", c.project, i+1) {
			return i + 1, c
		}
	}
	return 0, nil
}

// revision answers what is below a patch set.
func (s *Server) revision(r *http.Request, number int, c *change, at int, rest []string) (any, error) {
	last := at == len(c.patchsets)-1
	switch what := strings.Join(rest, "/"); {
	case r.Method == http.MethodPost && what == "submit":
		if !last && c.status == gerrit.StatusNew {
			return nil, httpError{http.StatusConflict, fmt.Sprintf("revision %s is not current", c.patchsets[at].sha)}
		}
		return s.submitted(number, c)
	case r.Method == http.MethodPost && what == "review":
		return s.review(r, c, at)
	case r.Method == http.MethodGet && what == "mergeable" && c.status == gerrit.StatusNew:
		return map[string]any{"submit_type": s.submitType(c), "mergeable": !s.conflicts(c)}, nil
	case r.Method == http.MethodGet && what == "related":
		related := []any{}
		for _, other := range s.dependencies(c) {
			related = append(related, map[string]any{"change_id": other.changeID, "status": other.status})
		}
		return map[string]any{"changes": related}, nil
	}
	return nil, notFound
}

func (s *Server) submitted(number int, c *change) (any, error) {
	if err := s.submit(c); err != nil {
		return nil, err
	}
	return s.info(number, c, nil)
}

// together are the changes that are submitted with a change; none where that is
// only the change itself.
func (s *Server) together(c *change, options []string) (any, error) {
	if !slices.Equal(options, []string{"NON_VISIBLE_CHANGES"}) {
		return nil, httpError{http.StatusBadRequest, "only the form with NON_VISIBLE_CHANGES is known"}
	}
	list := []any{}
	if others := s.dependencies(c); len(others) > 0 {
		for i, one := range s.changes {
			if one != c && !slices.Contains(others, one) {
				continue
			}
			info, err := s.info(i+1, one, nil)
			if err != nil {
				return nil, err
			}
			list = append(list, info)
		}
	}
	return map[string]any{"changes": list, "non_visible_changes": 0}, nil
}

func (s *Server) submitType(c *change) string {
	if t := s.projects[c.project].SubmitType; t != "" {
		return t
	}
	return gerrit.SubmitMergeIfNecessary
}

// review posts a message with votes.
func (s *Server) review(r *http.Request, c *change, at int) (any, error) {
	var in struct {
		Message string
		Labels  map[string]int
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, httpError{http.StatusBadRequest, err.Error()}
	}
	for name, value := range in.Labels {
		types := s.projects[c.project].Labels
		i := slices.IndexFunc(types, func(l LabelType) bool { return l.Name == name })
		switch {
		case i < 0:
			return nil, httpError{http.StatusBadRequest, fmt.Sprintf("label %q is not a configured label", name)}
		case value < types[i].Min || value > types[i].Max:
			return nil, httpError{http.StatusBadRequest, fmt.Sprintf("label %q: %d is not a valid value", name, value)}
		case c.status != gerrit.StatusNew:
			return nil, httpError{http.StatusConflict, "change is closed"}
		}
		c.vote(name, Robot, value)
	}
	c.updated = s.tick()
	c.messages = append(c.messages, gerrit.Message{Message: fmt.Sprintf("Patch Set %d:\n\n%s", at+1, in.Message), RevisionNumber: at + 1})
	return map[string]any{"labels": in.Labels}, nil
}

// list answers a query.
func (s *Server) list(values url.Values) (any, error) {
	start, n := 0, s.MaxPage
	for key, into := range map[string]*int{"start": &start, "S": &start, "n": &n, "limit": &n} {
		if v := values.Get(key); v != "" {
			var err error
			if *into, err = strconv.Atoi(v); err != nil || *into < 0 {
				return nil, httpError{http.StatusBadRequest, fmt.Sprintf("%q is not a valid value for %s", v, key)}
			}
		}
	}
	numbers, more, err := s.page(values.Get("q"), start, n)
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, number := range numbers {
		info, err := s.info(number, s.changes[number-1], values["o"])
		if err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	if more {
		out[len(out)-1]["_more_changes"] = true
	}
	return out, nil
}

// info is a change with what the options ask for.
func (s *Server) info(number int, c *change, options []string) (map[string]any, error) {
	for _, o := range options {
		if !slices.Contains(knownOptions, o) {
			return nil, httpError{http.StatusBadRequest, fmt.Sprintf("%q is not a valid value for -o", o)}
		}
	}
	has := func(o string) bool { return slices.Contains(options, o) }
	owner := map[string]any{"_account_id": 2}
	if has("DETAILED_ACCOUNTS") {
		owner["name"], owner["email"], owner["username"] = OwnerName, OwnerEmail, Owner
	}
	out := map[string]any{
		"id": c.id(), "_number": number, "project": c.project, "branch": c.branch, "change_id": c.changeID,
		"subject": c.subject, "status": c.status, "updated": gerrit.Time{Time: c.updated}, "owner": owner,
	}
	if c.wip {
		out["work_in_progress"] = true
	}
	if c.status == gerrit.StatusNew {
		out["submit_type"] = s.submitType(c)
		if s.ComputeMergeable {
			out["mergeable"] = !s.conflicts(c)
		}
	}
	if has("LABELS") {
		labels := map[string]any{}
		for _, l := range s.projects[c.project].Labels {
			info := map[string]any{}
			if l.Optional {
				info["optional"] = true
			}
			for account, value := range c.votes[l.Name] {
				switch value {
				case l.Max:
					info["approved"] = map[string]any{"username": account}
				case l.Min:
					info["rejected"] = map[string]any{"username": account}
				}
			}
			labels[l.Name] = info
		}
		out["labels"] = labels
	}
	if has("MESSAGES") {
		out["messages"] = c.messages
	}
	if !has("CURRENT_REVISION") && !has("ALL_REVISIONS") {
		return out, nil
	}
	out["current_revision"] = c.current().sha
	revisions := map[string]any{}
	for i, p := range c.patchsets {
		if last := i == len(c.patchsets)-1; !last && !has("ALL_REVISIONS") {
			continue
		}
		info := map[string]any{"_number": i + 1, "ref": p.ref}
		if i == len(c.patchsets)-1 {
			if has("CURRENT_COMMIT") {
				info["commit"] = map[string]any{"subject": c.subject, "author": map[string]any{"name": OwnerName, "email": OwnerEmail}}
			}
			if has("CURRENT_FILES") {
				files, err := s.files(c, p.sha)
				if err != nil {
					return nil, err
				}
				info["files"] = files
			}
		}
		revisions[p.sha] = info
	}
	out["revisions"] = revisions
	return out, nil
}

// files are the files that a commit changes.
func (s *Server) files(c *change, sha string) (map[string]any, error) {
	text, err := s.runner.Output(context.Background(), s.projects[c.project].dir, "diff-tree", "-r", "-M", "--no-commit-id", "--name-status", sha)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		switch {
		case len(fields) == 3 && strings.HasPrefix(fields[0], "R"):
			out[fields[2]] = map[string]any{"status": "R", "old_path": fields[1]}
		case len(fields) == 2 && fields[0] == "M":
			out[fields[1]] = map[string]any{}
		case len(fields) == 2:
			out[fields[1]] = map[string]any{"status": fields[0]}
		}
	}
	return out, nil
}
