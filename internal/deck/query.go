package deck

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	v1 "prow/api/prowjobs/v1"
)

// position is where a run stands in the order. It outlives the run, so a page can go on
// after one that is gone.
type position struct {
	start     int64
	job, name string
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(q.start, p.start), cmp.Compare(p.job, q.job), cmp.Compare(p.name, q.name))
}

// cursor is the position as a URL carries it.
func (p position) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.start, 10) + "\x00" + p.job + "\x00" + p.name))
}

func parseCursor(s string) (position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.Split(string(raw), "\x00")
	if err != nil || len(parts) != 3 {
		return position{}, errors.New("the cursor is not one of this list")
	}
	start, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return position{}, errors.New("the cursor is not one of this list")
	}
	return position{start, parts[1], parts[2]}, nil
}

// query chooses runs. Empty fields choose everything.
type query struct {
	// repo is "org/repo"; job a name, or a pattern with "*".
	repo, job, author, cluster string
	state                      v1.ProwJobState
	kind                       v1.ProwJobType
	// pull is the number of a pull request; 0 is any.
	pull int
	// since limits to runs that started at or after it.
	since time.Time
	// visible decides what the viewer may see.
	visible func(unique.Handle[shape]) bool
	// after continues a list; limit is the most runs of a page.
	after *position
	limit int
}

// takes tells what of the query depends on the shape alone.
func (q *query) takes(h unique.Handle[shape]) bool {
	if !q.visible(h) {
		return false
	}
	sh := h.Value()
	if q.kind != "" && sh.kind != q.kind || q.cluster != "" && sh.cluster != q.cluster || q.job != "" && !matchJob(q.job, sh.job) {
		return false
	}
	if q.repo != "" {
		org, repo := sh.mainRepo()
		if sh.repos == "" || org+"/"+repo != q.repo {
			return false
		}
	}
	return q.pull == 0 && q.author == "" || sh.hasRefs
}

// matchJob compares a name with a name, or with a pattern in which "*" is any text.
func matchJob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[last])
}

// listing is a page of a list.
type listing struct {
	items []*entry
	// total counts what matches, whatever the page; states counts it by state as if
	// no state were asked for.
	total  int
	states map[v1.ProwJobState]int
	// next continues the list; empty on the last page.
	next string
}

// decider decides about each shape once.
func decider(decide func(unique.Handle[shape]) bool) func(unique.Handle[shape]) bool {
	known := map[unique.Handle[shape]]bool{}
	return func(h unique.Handle[shape]) bool {
		yes, ok := known[h]
		if !ok {
			yes = decide(h)
			known[h] = yes
		}
		return yes
	}
}

// list answers a query.
func (x *index) list(q query) listing {
	out := listing{}
	takes := decider(q.takes)
	state := unique.Make(q.state)
	since := int64(-1 << 62)
	if !q.since.IsZero() {
		since = q.since.Unix()
		if q.since.Nanosecond() > 0 {
			since++ // starts are whole seconds
		}
	}
	counts := map[unique.Handle[v1.ProwJobState]]int{}
	x.each(func(e *entry) bool {
		if e.start < since {
			return false
		}
		if !takes(e.shape) || (q.pull != 0 || q.author != "") && !e.tests(func(p pullOf) bool {
			return (q.pull == 0 || p.number == q.pull) && (q.author == "" || strings.EqualFold(p.author.Value(), q.author))
		}) {
			return true
		}
		counts[e.state]++
		if q.state != "" && e.state != state {
			return true
		}
		out.total++
		switch {
		case len(out.items) == q.limit && out.next != "":
		case q.after != nil && e.position().compare(*q.after) <= 0:
		case len(out.items) < q.limit:
			out.items = append(out.items, e)
		default:
			out.next = out.items[len(out.items)-1].position().cursor()
		}
		return true
	})
	out.states = make(map[v1.ProwJobState]int, len(counts))
	for state, n := range counts {
		out.states[state.Value()] = n
	}
	return out
}

// names collects the names that occur in runs, newest first and at most so many of each
// kind: all repositories, and jobs and authors of one repository if it is not empty.
func (x *index) names(visible func(unique.Handle[shape]) bool, of string, most int) (repos, jobs, authors []string) {
	type look struct{ shown, counts bool }
	shapes := map[unique.Handle[shape]]look{}
	seenRepos, seenJobs, seenAuthors := map[string]bool{}, map[string]bool{}, map[unique.Handle[string]]bool{}
	add := func(to *[]string, seen map[string]bool, value string) {
		if value != "" && len(*to) < most && !seen[value] {
			seen[value] = true
			*to = append(*to, value)
		}
	}
	x.each(func(e *entry) bool {
		l, ok := shapes[e.shape]
		if !ok {
			l.shown = visible(e.shape)
			if l.shown {
				sh := e.shape.Value()
				org, repo := sh.mainRepo()
				l.counts = of == "" || sh.repos == "" || of == org+"/"+repo
				if sh.repos != "" {
					add(&repos, seenRepos, org+"/"+repo)
				}
				if l.counts {
					add(&jobs, seenJobs, sh.job)
				}
			}
			shapes[e.shape] = l
		}
		if !l.shown || !l.counts {
			return true
		}
		e.eachPull(func(p pullOf) bool {
			if len(authors) < most && !seenAuthors[p.author] && p.author.Value() != "" {
				seenAuthors[p.author] = true
				authors = append(authors, p.author.Value())
			}
			return true
		})
		return true
	})
	slices.Sort(repos)
	slices.Sort(jobs)
	slices.SortFunc(authors, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return repos, jobs, authors
}

// parseSince reads an age such as "36h" or "7d", or a date.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("since=%q: expected an age such as 36h or 7d, or a date such as 2026-01-31", s)
}
