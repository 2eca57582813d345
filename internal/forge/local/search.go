package local

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// term is one element of a search: "qualifier:value" or a bare word.
type term struct {
	Key, Value string // Key is "" for words
	Not        bool
}

// maxQuery is the length GitHub allows for a search.
const maxQuery = 4096

// parseSearch splits a search as GitHub does: by blanks, values may be quoted,
// a leading '-' negates.
func parseSearch(q string) ([]term, error) {
	if len(q) > maxQuery {
		return nil, invalid("Search", "q", "invalid", "The search is longer than 4096 characters.")
	}
	var terms []term
	negate := false
	for rest := strings.TrimLeft(q, blanks); rest != ""; rest = strings.TrimLeft(rest, blanks) {
		var t term
		if t.Not = len(rest) > 1 && rest[0] == '-'; t.Not {
			rest = rest[1:]
		}
		if negate {
			t.Not, negate = !t.Not, false
		}
		end, quoted := 0, false
		for end < len(rest) && (quoted || !isBlank(rest[end])) {
			if rest[end] == '"' {
				quoted = !quoted
			}
			end++
		}
		word := rest[:end]
		rest = rest[end:]
		if word == "NOT" { // negates what follows
			negate = true
			continue
		}
		if word == "AND" { // is meant anyway
			continue
		}
		key, value, ok := strings.Cut(word, ":")
		if ok && key != "" && !strings.Contains(key, `"`) {
			t.Key, t.Value = lower(key), strings.ReplaceAll(value, `"`, "")
		} else {
			t.Value = strings.ReplaceAll(word, `"`, "")
		}
		if t.Value != "" {
			terms = append(terms, t)
		}
	}
	return terms, nil
}

// blanks separate terms; "+" is a blank that somebody encoded twice.
const blanks = " \t\n\r+"

func isBlank(c byte) bool { return strings.IndexByte(blanks, c) >= 0 }

// condition is a piece of SQL with its arguments.
type condition struct {
	sql  string
	args []any
}

func cond(sql string, args ...any) condition { return condition{sql, args} }

// search is a compiled search over issues.
type search struct {
	where   []condition
	order   string
	reviews []term // need more than SQL
}

// anyOf collects qualifiers that mean "one of these" when repeated.
type anyOf struct {
	yes, no []condition
}

func (a *anyOf) add(t term, c condition) {
	if t.Not {
		a.no = append(a.no, c)
	} else {
		a.yes = append(a.yes, c)
	}
}

func (a *anyOf) into(s *search) {
	for _, c := range a.no {
		s.where = append(s.where, cond("NOT ("+c.sql+")", c.args...))
	}
	if len(a.yes) == 0 {
		return
	}
	var parts []string
	var args []any
	for _, c := range a.yes {
		parts = append(parts, c.sql)
		args = append(args, c.args...)
	}
	s.where = append(s.where, cond("("+strings.Join(parts, " OR ")+")", args...))
}

const byLogin = "(SELECT id FROM accounts WHERE login = ?)"

// compile turns terms into SQL. viewer resolves "@me".
func compile(terms []term, viewer *account) (*search, error) {
	s := &search{order: "i.created DESC, i.id DESC"}
	var scope, authors, bases, heads anyOf
	me := func(v string) string {
		if slug, ok := strings.CutPrefix(v, "app/"); ok {
			return slug + "[bot]"
		}
		if v == "@me" && viewer != nil {
			return viewer.Login
		}
		return strings.TrimPrefix(v, "@")
	}
	for _, t := range terms {
		v := t.Value
		var c condition
		switch t.Key {
		case "":
			if validSHA(lower(v)) || shortPattern.MatchString(v) {
				c = cond("(substr(p.head_sha,1,length(?)) = ? OR i.title LIKE ? ESCAPE '\\' OR i.body LIKE ? ESCAPE '\\')", lower(v), lower(v), like(v), like(v))
			} else {
				c = cond("(i.title LIKE ? ESCAPE '\\' OR i.body LIKE ? ESCAPE '\\')", like(v), like(v))
			}
		case "is", "type", "state":
			var err error
			if c, err = isCondition(t); err != nil {
				return nil, err
			}
		case "repo":
			owner, name, _ := strings.Cut(v, "/")
			scope.add(t, cond("i.repo_id IN (SELECT r.id FROM repos r JOIN accounts a ON a.id = r.owner_id WHERE a.login = ? AND r.name = ?)", owner, name))
			continue
		case "org", "user":
			scope.add(t, cond("i.repo_id IN (SELECT r.id FROM repos r JOIN accounts a ON a.id = r.owner_id WHERE a.login = ?)", me(v)))
			continue
		case "author":
			// The bot of an App may be named without its suffix.
			authors.add(t, cond("(i.author_id = "+byLogin+" OR i.author_id = "+byLogin+")", me(v), strings.TrimPrefix(v, "app/")))
			continue
		case "base":
			bases.add(t, cond("coalesce(p.base_ref,'') = ?", v))
			continue
		case "head":
			heads.add(t, cond("(coalesce(p.head_ref,'') = ? OR substr(coalesce(p.head_ref,''),1,length(?)) = ?)", v, v+"/", v+"/"))
			continue
		case "label":
			// "label:a,b" means one of them, repeated labels mean all.
			var a anyOf
			for name := range strings.SplitSeq(v, ",") {
				a.add(term{}, cond("EXISTS (SELECT 1 FROM issue_labels x JOIN labels l ON l.id = x.label_id WHERE x.issue_id = i.id AND l.name = ?)", strings.TrimSpace(name)))
			}
			one := &search{}
			a.into(one)
			c = one.where[0]
		case "assignee":
			c = cond("EXISTS (SELECT 1 FROM assignees x WHERE x.issue_id = i.id AND x.user_id = "+byLogin+")", me(v))
		case "involves", "commenter", "mentions":
			c = cond("EXISTS (SELECT 1 FROM comments c WHERE c.issue_id = i.id AND c.author_id = "+byLogin+")", me(v))
			if t.Key == "involves" {
				c = cond("(i.author_id = "+byLogin+" OR "+c.sql+" OR EXISTS (SELECT 1 FROM assignees x WHERE x.issue_id = i.id AND x.user_id = "+byLogin+"))", me(v), me(v), me(v))
			}
		case "review-requested":
			c = cond("EXISTS (SELECT 1 FROM review_requests x WHERE x.issue_id = i.id AND x.user_id = "+byLogin+")", me(v))
		case "user-review-requested":
			c = cond("EXISTS (SELECT 1 FROM review_requests x WHERE x.issue_id = i.id AND x.user_id = "+byLogin+")", me(v))
		case "team-review-requested":
			org, slug, _ := strings.Cut(v, "/")
			c = cond("EXISTS (SELECT 1 FROM review_requests x JOIN teams t ON t.id = x.team_id JOIN accounts a ON a.id = t.org_id WHERE x.issue_id = i.id AND a.login = ? AND t.slug = ?)", org, slug)
		case "reviewed-by":
			c = cond("EXISTS (SELECT 1 FROM reviews x WHERE x.issue_id = i.id AND x.state != 'PENDING' AND x.author_id = "+byLogin+")", me(v))
		case "status":
			// The newest status per context counts; failure outweighs pending.
			latest := "SELECT s.state FROM statuses s WHERE s.id IN (SELECT max(id) FROM statuses WHERE repo_id = p.head_repo_id AND sha = p.head_sha OR repo_id = i.repo_id AND sha = p.head_sha GROUP BY context)"
			switch lower(v) {
			case "failure", "error":
				c = cond("EXISTS (" + latest + " AND s.state IN ('failure','error'))")
			case "pending":
				c = cond("EXISTS (" + latest + " AND s.state = 'pending') AND NOT EXISTS (" + latest + " AND s.state IN ('failure','error'))")
			case "success":
				c = cond("EXISTS (" + latest + ") AND NOT EXISTS (" + latest + " AND s.state != 'success')")
			default:
				return nil, searchError(t)
			}
		case "comments", "interactions":
			var err error
			if c, err = countCondition(t); err != nil {
				return nil, err
			}
		case "reason":
			c = cond("i.state_reason = ?", strings.ReplaceAll(lower(v), " ", "_"))
		case "language", "project", "team", "linked":
			continue // not kept here: everything matches
		case "draft":
			c = cond("coalesce(p.draft,0) = ?", v == "true")
		case "archived":
			c = cond("i.repo_id IN (SELECT id FROM repos WHERE archived = ?)", v == "true")
		case "milestone":
			c = cond("i.milestone_id IN (SELECT id FROM milestones WHERE title = ? COLLATE NOCASE)", v)
		case "no":
			switch v {
			case "label":
				c = cond("NOT EXISTS (SELECT 1 FROM issue_labels x WHERE x.issue_id = i.id)")
			case "assignee":
				c = cond("NOT EXISTS (SELECT 1 FROM assignees x WHERE x.issue_id = i.id)")
			case "milestone":
				c = cond("i.milestone_id = 0")
			case "project":
				continue
			default:
				return nil, searchError(t)
			}
		case "sha":
			c = cond("substr(coalesce(p.head_sha,''),1,length(?)) = ?", lower(v), lower(v))
		case "number":
			c = cond("i.number = ?", v)
		case "created", "updated", "closed", "merged":
			var err error
			if c, err = dateCondition(t); err != nil {
				return nil, err
			}
		case "in":
			continue // title and body are always searched
		case "review":
			s.reviews = append(s.reviews, t)
			continue
		case "sort":
			name, dir, _ := strings.Cut(v, "-")
			if !s.sort(name, dir) {
				return nil, searchError(t)
			}
			continue
		default:
			return nil, searchError(t)
		}
		if t.Not {
			c.sql = "NOT (" + c.sql + ")"
		}
		s.where = append(s.where, c)
	}
	for _, a := range []*anyOf{&scope, &authors, &bases, &heads} {
		a.into(s)
	}
	return s, nil
}

func searchError(t term) error {
	return invalid("Search", "q", "invalid", fmt.Sprintf("The search qualifier %s:%s is not understood.", truncate(t.Key, 50), truncate(t.Value, 50)))
}

// sort accepts the orders of the search box and of the REST parameters.
func (s *search) sort(name, dir string) bool {
	col := map[string]string{"created": "i.created", "updated": "i.updated", "comments": "(SELECT count(*) FROM comments c WHERE c.issue_id = i.id)"}[name]
	if col == "" || dir != "" && dir != "asc" && dir != "desc" {
		return false
	}
	if dir == "asc" {
		s.order = col + " ASC, i.id ASC"
	} else {
		s.order = col + " DESC, i.id DESC"
	}
	return true
}

func isCondition(t term) (condition, error) {
	switch lower(t.Value) {
	case "pr", "pull-request":
		return cond("i.is_pull"), nil
	case "issue":
		return cond("NOT i.is_pull"), nil
	case "open":
		return cond("i.state = 'open'"), nil
	case "closed":
		return cond("i.state = 'closed'"), nil
	case "merged":
		return cond("coalesce(p.merged,0) > 0"), nil
	case "unmerged":
		return cond("i.is_pull AND i.state = 'closed' AND p.merged = 0"), nil
	case "draft":
		return cond("coalesce(p.draft,0)"), nil
	case "locked":
		return cond("i.locked"), nil
	case "public":
		return cond("i.repo_id IN (SELECT id FROM repos WHERE NOT private)"), nil
	case "private":
		return cond("i.repo_id IN (SELECT id FROM repos WHERE private)"), nil
	}
	return condition{}, searchError(t)
}

// dateCondition understands A..B, >=A, >A, <=A, <A and a plain day; "*" is an open end.
func dateCondition(t term) (condition, error) {
	col := map[string]string{"created": "i.created", "updated": "i.updated", "closed": "i.closed", "merged": "coalesce(p.merged,0)"}[t.Key]
	v := t.Value
	parse := func(s string, end bool) (int64, error) {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
			if at, err := time.Parse(layout, s); err == nil {
				if end {
					// Seconds and days are meant whole.
					if layout == "2006-01-02" {
						at = at.Add(24 * time.Hour)
					} else {
						at = at.Add(time.Second)
					}
					return at.UnixMilli() - 1, nil
				}
				return at.UnixMilli(), nil
			}
		}
		return 0, searchError(t)
	}
	between := func(a, b string) (condition, error) {
		c := cond(col + " > 0")
		if a != "*" {
			from, err := parse(a, false)
			if err != nil {
				return c, err
			}
			c = cond(c.sql+" AND "+col+" >= ?", append(c.args, from)...)
		}
		if b != "*" {
			to, err := parse(b, true)
			if err != nil {
				return c, err
			}
			c = cond(c.sql+" AND "+col+" <= ?", append(c.args, to)...)
		}
		return c, nil
	}
	if a, b, ok := strings.Cut(v, ".."); ok {
		return between(a, b)
	}
	for _, op := range []string{">=", "<=", ">", "<"} {
		rest, ok := strings.CutPrefix(v, op)
		if !ok {
			continue
		}
		at, err := parse(rest, op == "<=" || op == ">")
		return cond(col+" > 0 AND "+col+" "+op+" ?", at), err
	}
	return between(v, v)
}

// countCondition understands N, >N, >=N, <N, <=N and A..B for the number of comments.
func countCondition(t term) (condition, error) {
	const n = "(SELECT count(*) FROM comments c WHERE c.issue_id = i.id)"
	if a, b, ok := strings.Cut(t.Value, ".."); ok {
		from, err1 := parseCount(a)
		to, err2 := parseCount(b)
		if a == "*" {
			from, err1 = 0, nil
		}
		if b == "*" {
			to, err2 = 1<<31, nil
		}
		if err1 != nil || err2 != nil {
			return condition{}, searchError(t)
		}
		return cond(n+" BETWEEN ? AND ?", from, to), nil
	}
	op, v := "=", t.Value
	for _, o := range []string{">=", "<=", ">", "<"} {
		if rest, ok := strings.CutPrefix(v, o); ok {
			op, v = o, rest
			break
		}
	}
	num, err := parseCount(v)
	if err != nil {
		return condition{}, searchError(t)
	}
	return cond(n+" "+op+" ?", num), nil
}

// like quotes a word for LIKE ... ESCAPE '\'.
func like(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(s) + "%"
}

// searchHits bounds what a search can reach, as GitHub does.
const searchHits = 1000

// found is an issue with its repository.
type found struct {
	repo  *repo
	issue issue
}

// search finds issues and pull requests that viewer may read.
func (r *reader) search(q string, viewer *account, sort, order string) ([]found, error) {
	terms, err := parseSearch(q)
	if err != nil {
		return nil, err
	}
	s, err := compile(terms, viewer)
	if err != nil {
		return nil, err
	}
	if sort != "" && !s.sort(sort, order) {
		return nil, invalid("Search", "sort", "invalid", "")
	}
	where, args := "1", []any{}
	for _, c := range s.where {
		where += " AND (" + c.sql + ")"
		args = append(args, c.args...)
	}
	all, err := list(r, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE "+where+" ORDER BY "+s.order, args...)
	if err != nil {
		return nil, err
	}
	repos := map[int64]*repo{}
	var out []found
	for _, i := range all {
		rp, known := repos[i.RepoID]
		if !known {
			if rp, err = r.repoID(i.RepoID); err != nil {
				return nil, err
			}
			p, err := r.permission(rp, viewer)
			if err != nil {
				return nil, err
			}
			if p < permRead {
				rp = nil
			}
			repos[i.RepoID] = rp
		}
		if rp == nil {
			continue
		}
		ok, err := r.reviewed(rp, &i, s.reviews)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, found{rp, i})
		}
	}
	return out, nil
}

// reviewed checks review: qualifiers.
func (r *reader) reviewed(rp *repo, i *issue, terms []term) (bool, error) {
	if len(terms) == 0 {
		return true, nil
	}
	if i.Pull == nil {
		return false, nil
	}
	decision, err := r.reviewDecision(rp, i)
	if err != nil {
		return false, err
	}
	words := map[string]string{"approved": "APPROVED", "changes_requested": "CHANGES_REQUESTED", "changes-requested": "CHANGES_REQUESTED", "required": "REVIEW_REQUIRED"}
	for _, t := range terms {
		var hit bool
		if lower(t.Value) == "none" {
			all, err := r.reviews(i.ID)
			if err != nil {
				return false, err
			}
			hit = !slices.ContainsFunc(all, func(v review) bool { return v.State != "PENDING" })
		} else if want := words[lower(t.Value)]; want != "" {
			hit = decision == want
		} else {
			return false, searchError(t)
		}
		if hit == t.Not {
			return false, nil
		}
	}
	return true, nil
}

func searchIssuesREST(c *call) (any, error) {
	q, err := c.searchQuery()
	if err != nil {
		return nil, err
	}
	hits, err := c.search(q, c.viewer, c.query("sort"), c.query("order"))
	if err != nil {
		return nil, err
	}
	total := len(hits)
	size, number := c.page()
	if size*(number-1) >= searchHits {
		return nil, &apiError{Status: http.StatusUnprocessableEntity, Message: "Only the first 1000 search results are available"}
	}
	items, err := each(paginate(c, hits[:min(total, searchHits)]), func(h *found) (obj, error) { return c.issueJSON(h.repo, &h.issue) })
	return results(total, items), err
}
