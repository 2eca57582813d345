package local

import "strings"

func searchRoutes() []route {
	return []route{
		{method: "GET", pattern: "/search/issues", serve: searchIssuesREST},
		{method: "GET", pattern: "/search/users", serve: searchUsers},
		{method: "GET", pattern: "/search/repositories", serve: searchRepos},
		{method: "GET", pattern: "/search/labels", serve: searchLabels},
	}
}

// results is the envelope of all searches.
func results(total int, items []obj) obj {
	for _, o := range items {
		o["score"] = 1.0
	}
	return obj{"total_count": total, "incomplete_results": false, "items": items}
}

// accountsLike finds people and organisations by the words of a search:
// "in:email", "type:org" and "user:login" are understood.
func (r *reader) accountsLike(q string) ([]account, error) {
	terms, err := parseSearch(q)
	if err != nil {
		return nil, err
	}
	where, args := "a.kind != ?", []any{kindBot}
	for _, t := range terms {
		switch t.Key {
		case "":
			where += " AND (a.login LIKE ? ESCAPE '\\' OR a.name LIKE ? ESCAPE '\\' OR a.email = ? COLLATE NOCASE)"
			args = append(args, like(t.Value), like(t.Value), t.Value)
		case "user", "org":
			where, args = where+" AND a.login = ?", append(args, t.Value)
		case "type":
			where += map[bool]string{true: " AND a.kind = 'Organization'", false: " AND a.kind = 'User'"}[lower(t.Value) == "org"]
		}
	}
	return list(r, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE "+where+" ORDER BY a.id", args...)
}

// reposLike finds repositories that an account may read.
func (r *reader) reposLike(q string, viewer *account) ([]repo, error) {
	terms, err := parseSearch(q)
	if err != nil {
		return nil, err
	}
	where, order := "r.copying = 0", "r.id"
	var args []any
	for _, t := range terms {
		c := condition{sql: "1"}
		switch t.Key {
		case "":
			c = cond("(r.name LIKE ? ESCAPE '\\' OR r.description LIKE ? ESCAPE '\\')", like(t.Value), like(t.Value))
		case "org", "user":
			c = cond("a.login = ?", strings.TrimPrefix(t.Value, "@"))
		case "repo":
			owner, name, _ := strings.Cut(t.Value, "/")
			c = cond("a.login = ? AND r.name = ?", owner, name)
		case "archived":
			c = cond("r.archived = ?", t.Value == "true")
		case "fork":
			if t.Value != "true" {
				c = cond("r.parent_id != 0")
			}
			if t.Value == "false" {
				c = cond("r.parent_id = 0")
			}
		case "is":
			c = cond("r.private = ?", t.Value == "private")
		case "topic":
			c = cond("r.settings LIKE ? ESCAPE '\\'", like(`"`+t.Value+`"`))
		case "sort":
			if strings.HasPrefix(t.Value, "updated") {
				order = "r.updated DESC, r.id"
			}
		}
		if t.Not {
			c.sql = "NOT (" + c.sql + ")"
		}
		where, args = where+" AND ("+c.sql+")", append(args, c.args...)
	}
	all, err := list(r, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE "+where+" ORDER BY "+order, args...)
	if err != nil {
		return nil, err
	}
	return r.visible(all, viewer)
}

func (c *call) searchQuery() (string, error) {
	q := c.query("q")
	if strings.TrimSpace(q) == "" {
		return "", invalid("Search", "q", "missing", "")
	}
	return q, nil
}

func searchUsers(c *call) (any, error) {
	q, err := c.searchQuery()
	if err != nil {
		return nil, err
	}
	all, err := c.accountsLike(q)
	if err != nil {
		return nil, err
	}
	return results(len(all), c.f.usersJSON(paginate(c, all))), nil
}

func searchRepos(c *call) (any, error) {
	q, err := c.searchQuery()
	if err != nil {
		return nil, err
	}
	all, err := c.reposLike(q, c.viewer)
	if err != nil {
		return nil, err
	}
	items, err := each(paginate(c, all), func(rp *repo) (obj, error) { return c.f.repoJSON(rp), nil })
	return results(len(all), items), err
}

func searchLabels(c *call) (any, error) {
	q, err := c.searchQuery()
	if err != nil {
		return nil, err
	}
	id, err := parseCount(c.query("repository_id"))
	if err != nil {
		return nil, invalid("Search", "repository_id", "missing", "")
	}
	rp, err := c.repoID(int64(id))
	if err != nil {
		return nil, err
	}
	if err := c.require(rp, permRead); err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanLabel, "SELECT "+labelCols+" FROM labels l WHERE l.repo_id = ? AND (l.name LIKE ? ESCAPE '\\' OR l.description LIKE ? ESCAPE '\\') ORDER BY l.name", rp.ID, like(q), like(q))
	if err != nil {
		return nil, err
	}
	return results(len(all), c.f.labelsJSON(rp, paginate(c, all))), nil
}
