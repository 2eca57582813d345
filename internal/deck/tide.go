package deck

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prow/internal/config"
)

// tidePool is a branch whose pull requests Tide merges.
type tidePool struct {
	Org, Repo, Branch                  string
	SuccessPRs, PendingPRs, MissingPRs []tidePR
	BatchPending                       []tidePR
	Action                             string
	Target                             []tidePR
	Blockers                           []tideBlocker
	Error                              string
	TenantIDs                          []string
	// ActionReason, Reasons and Refused say why; a Tide of other make has none.
	ActionReason *tideReason      `json:",omitempty"`
	Reasons      []tidePullReason `json:",omitempty"`
	Refused      []tidePullReason `json:",omitempty"`
}

// tideReason says why something is as it is.
type tideReason struct {
	Code, Sentence string
	Links          []string `json:",omitempty"`
}

// tidePullReason says where a pull request is.
type tidePullReason struct {
	Number int
	SHA    string
	Title  string `json:",omitempty"`
	State  string
	tideReason
}

// tidePR is what of a pull request is passed on.
type tidePR struct {
	Title      string
	Number     int
	HeadRefOID string
	Mergeable  string
}

// tideBlocker is an issue that blocks merges into a branch.
type tideBlocker struct {
	Number int
	Title  string
	URL    string
}

// tideRecord is something Tide did.
type tideRecord struct {
	Time      time.Time    `json:"time"`
	Action    string       `json:"action"`
	BaseSHA   string       `json:"baseSHA,omitempty"`
	Target    []tideTarget `json:"target,omitempty"`
	Err       string       `json:"err,omitempty"`
	TenantIDs []string     `json:"tenantids"`
}

type tideTarget struct {
	Number  int    `json:"number"`
	Author  string `json:"author"`
	SHA     string `json:"sha"`
	Title   string `json:"title,omitempty"`
	Ref     string `json:"ref,omitempty"`
	HeadRef string `json:"head_ref,omitempty"`
	Link    string `json:"link,omitempty"`

	CommitLink string `json:"commit_link,omitempty"`
	AuthorLink string `json:"author_link,omitempty"`
}

// tideAgent keeps what Tide last said.
type tideAgent struct {
	url    string
	period func() time.Duration
	log    *slog.Logger

	mu      sync.RWMutex
	pools   []tidePool
	history map[string][]tideRecord
	// problem is why the last fetch failed; asked tells that there was one.
	problem error
	asked   bool
}

func newTideAgent(url string, period func() time.Duration, log *slog.Logger) *tideAgent {
	return &tideAgent{url: url, period: period, log: log}
}

// run asks Tide again and again. What cannot be had stays as it was.
func (t *tideAgent) run(ctx context.Context) error {
	for {
		t.fetch(ctx)
		timer := time.NewTimer(max(t.period(), time.Second))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

func (t *tideAgent) fetch(ctx context.Context) {
	var pools []tidePool
	var history map[string][]tideRecord
	err := fetchJSON(ctx, t.url, &pools, "")
	historyErr := fetchJSON(ctx, strings.TrimSuffix(t.url, "/")+"/history", &history, "")
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		t.pools = pools
	}
	if historyErr == nil {
		t.history = history
	} else if err == nil {
		err = historyErr
	}
	if err != nil && t.problem == nil {
		t.log.WarnContext(ctx, "Tide does not answer; what it said last is shown", "error", err)
	}
	t.problem, t.asked = err, true
}

func (t *tideAgent) get() (pools []tidePool, history map[string][]tideRecord, problem error, asked bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.pools, t.history, t.problem, t.asked
}

// visiblePools are the pools that are shown.
func (s *server) visiblePools(cfg *config.Config, pools []tidePool) []tidePool {
	return slices.DeleteFunc(slices.Clone(pools), func(p tidePool) bool {
		return !s.visible.element(repoTenant(cfg, p.Org, p.Repo), p.TenantIDs, cfg.Deck.IsHidden(p.Org, p.Repo))
	})
}

func repoTenant(cfg *config.Config, org, repo string) string {
	if d := cfg.GetProwJobDefault(org+"/"+repo, "*"); d != nil {
		return d.TenantID
	}
	return ""
}

// visibleHistory is the history that is shown; the tenants are those of each record.
func (s *server) visibleHistory(cfg *config.Config, history map[string][]tideRecord) map[string][]tideRecord {
	out := map[string][]tideRecord{}
	for key, records := range history {
		org, repo, _ := parsePoolKey(key)
		hidden := cfg.Deck.IsHidden(org, repo)
		tenant := repoTenant(cfg, org, repo)
		kept := slices.DeleteFunc(slices.Clone(records), func(r tideRecord) bool { return !s.visible.element(tenant, r.TenantIDs, hidden) })
		if len(kept) > 0 {
			out[key] = kept
		}
	}
	return out
}

// parsePoolKey splits "org/repo:branch"; the org may be a URL.
func parsePoolKey(key string) (org, repo, branch string) {
	scheme := ""
	if i := strings.Index(key, "://"); i >= 0 {
		scheme, key = key[:i+3], key[i+3:]
	}
	full, branch, _ := strings.Cut(key, ":")
	if scheme != "" {
		host, rest, _ := strings.Cut(full, "/")
		return scheme + host, rest, branch
	}
	org, repo, _ = strings.Cut(full, "/")
	return org, repo, branch
}

// visibleQueries are the queries without the repositories that are not shown.
func (s *server) visibleQueries(cfg *config.Config) []config.TideQuery {
	out := []config.TideQuery{}
	for _, q := range cfg.Tide.Queries {
		var ids []string
		for _, repo := range q.Repos {
			org, name := splitRepo(repo)
			if id := repoTenant(cfg, org, name); id != "" {
				ids = append(ids, id)
			}
		}
		for _, org := range q.Orgs {
			if d := cfg.GetProwJobDefault(org, "*"); d != nil && d.TenantID != "" {
				ids = append(ids, d.TenantID)
			}
		}
		isHidden := func(repo string) bool { org, name := splitRepo(repo); return cfg.Deck.IsHidden(org, name) }
		if slices.ContainsFunc(q.Repos, isHidden) || slices.ContainsFunc(q.Orgs, func(org string) bool { return cfg.Deck.IsHidden(org, "") }) {
			if s.visible.element("", ids, true) {
				out = append(out, q)
				continue
			}
			q.Repos = slices.DeleteFunc(slices.Clone(q.Repos), isHidden)
			q.Orgs = slices.DeleteFunc(slices.Clone(q.Orgs), func(org string) bool { return cfg.Deck.IsHidden(org, "") })
			if len(q.Repos)+len(q.Orgs) == 0 {
				continue
			}
		}
		if s.visible.element("", ids, false) {
			out = append(out, q)
		}
	}
	return out
}

func (s *server) tideJS(w http.ResponseWriter, r *http.Request) {
	cfg := s.config.Get()
	pools, _, _, _ := s.tide.get()
	queries := s.visibleQueries(cfg)
	texts := make([]string, len(queries))
	for i := range queries {
		texts[i] = queries[i].Query()
	}
	s.writeData(w, r, jsonBody(struct {
		Queries     []string
		TideQueries []config.TideQuery
		Pools       []tidePool
	}{texts, queries, s.visiblePools(cfg, pools)}))
}

func (s *server) tideHistoryJS(w http.ResponseWriter, r *http.Request) {
	_, history, _, _ := s.tide.get()
	s.writeData(w, r, jsonBody(struct{ History map[string][]tideRecord }{s.visibleHistory(s.config.Get(), history)}))
}

// tideView is the page of Tide.
type tideView struct {
	Enabled bool
	// Waiting tells that Tide has not answered yet; Problem why it does not.
	Waiting bool
	Problem string
	Pools   []poolView
	Queries []queryView
}

type poolView struct {
	tidePool
	Key string
	// Forge is the repository there.
	Forge string
	Rows  []poolRow
	// Why says why the action is the one; Sources lead to what that is about.
	Why     string
	Sources []sourceLink
}

// poolRow is a pull request of a pool and what it waits for.
type poolRow struct {
	tidePR
	State, Why, Link string
	// Sources lead to what Why is about.
	Sources []sourceLink
}

// sourceLink is a link with a name.
type sourceLink struct{ Name, URL string }

type queryView struct {
	config.TideQuery
	Text, Search string
}

func (s *server) tidePage(w http.ResponseWriter, r *http.Request) {
	view := tideView{}
	cfg := s.config.Get()
	if s.tide != nil {
		pools, _, problem, asked := s.tide.get()
		view.Enabled, view.Waiting = true, !asked
		if problem != nil {
			view.Problem = "Tide does not answer at the moment. What it said last is shown."
		}
		base := forgeBase(cfg)
		for _, p := range s.visiblePools(cfg, pools) {
			view.Pools = append(view.Pools, viewPool(p, base))
		}
		for _, q := range s.visibleQueries(cfg) {
			text := q.Query()
			view.Queries = append(view.Queries, queryView{q, text, ""})
		}
	}
	s.render(w, r, "tide", "Tide", view)
}

func viewPool(p tidePool, base string) poolView {
	out := poolView{tidePool: p, Key: p.Org + "/" + p.Repo + ":" + p.Branch, Forge: base + "/" + p.Org + "/" + p.Repo}
	if p.ActionReason != nil {
		out.Why, out.Sources = p.ActionReason.Sentence, sources(p.ActionReason.Links)
	}
	told := map[int]tidePullReason{}
	for _, r := range p.Reasons {
		told[r.Number] = r
	}
	seen := map[int]bool{}
	add := func(list []tidePR, state, why string) {
		for _, pr := range list {
			if seen[pr.Number] {
				continue
			}
			seen[pr.Number] = true
			row := poolRow{tidePR: pr, State: state, Why: why, Link: fmt.Sprintf("%s/pull/%d", out.Forge, pr.Number)}
			if r, ok := told[pr.Number]; ok {
				row.State, row.Why, row.Sources = r.rowState(), r.Sentence, sources(r.Links)
			}
			out.Rows = append(out.Rows, row)
		}
	}
	target := "is next: " + strings.ToLower(strings.ReplaceAll(p.Action, "_", " "))
	switch p.Action {
	case "MERGE", "MERGE_BATCH":
		add(p.Target, "success", "is being merged")
	case "TRIGGER", "TRIGGER_BATCH":
		add(p.Target, "pending", target)
	}
	blocked := ""
	if len(p.Blockers) > 0 {
		blocked = ", but merges into this branch are blocked"
	}
	add(p.BatchPending, "pending", "is tested together with others"+blocked)
	add(p.SuccessPRs, "success", "all required jobs passed; waits for its turn"+blocked)
	add(p.PendingPRs, "pending", "required jobs run against the newest base"+blocked)
	add(p.MissingPRs, "triggered", "required jobs failed, or have yet to run against the newest base"+blocked)
	for _, r := range p.Refused {
		told[r.Number] = r
		add([]tidePR{{Title: r.Title, Number: r.Number, HeadRefOID: r.SHA}}, "", "")
	}
	return out
}

// rowState is the state as which a reason is shown.
func (r *tidePullReason) rowState() string {
	switch {
	case r.State == "success":
		return "success"
	case r.State == "error", r.Code == "ejected", r.Code == "refused", r.Code == "merge-failed":
		return "failure"
	case r.Code == "in-trial", r.Code == "testing":
		return "pending"
	}
	return "triggered"
}

// sources names links: issues by their numbers, everything else is a run.
func sources(urls []string) []sourceLink {
	var out []sourceLink
	for _, u := range urls {
		name := "run"
		if _, number, ok := strings.Cut(u, "/issues/"); ok {
			name = "#" + number
		}
		out = append(out, sourceLink{name, u})
	}
	return out
}

// forgeBase is where links to the forge begin, without a slash at the end.
func forgeBase(cfg *config.Config) string {
	if base := strings.TrimRight(cfg.GitHub.LinkURL, "/"); base != "" {
		return base
	}
	return "https://github.com"
}

// concerns tells whether a record is one that parameters of the page ask for.
func (r *tideRecord) concerns(q url.Values) bool {
	state := "success"
	if r.Err != "" {
		state = "failure"
	}
	if v := q.Get("action"); v != "" && v != r.Action || q.Get("state") != "" && q.Get("state") != state {
		return false
	}
	author, pull := q.Get("author"), strings.TrimPrefix(q.Get("pull"), "#")
	return author == "" && pull == "" || slices.ContainsFunc(r.Target, func(t tideTarget) bool {
		return (author == "" || strings.EqualFold(t.Author, author)) && (pull == "" || strconv.Itoa(t.Number) == pull)
	})
}

// historyRow is a record on the page of the history.
type historyRow struct {
	tideRecord
	Org, Repo, Branch string
	Forge             string
}

// maxHistory is how many records the page shows.
const maxHistory = 500

func (s *server) tideHistoryPage(w http.ResponseWriter, r *http.Request) {
	var rows []historyRow
	q := r.URL.Query()
	cfg := s.config.Get()
	if s.tide != nil {
		_, history, _, _ := s.tide.get()
		for key, records := range s.visibleHistory(cfg, history) {
			org, repo, branch := parsePoolKey(key)
			if v := q.Get("repo"); v != "" && v != org+"/"+repo {
				continue
			}
			if v := q.Get("branch"); v != "" && v != branch {
				continue
			}
			for _, record := range records {
				if !record.concerns(q) {
					continue
				}
				rows = append(rows, historyRow{record, org, repo, branch, forgeBase(cfg) + "/" + org + "/" + repo})
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b historyRow) int { return b.Time.Compare(a.Time) })
	filtered := slices.ContainsFunc([]string{"repo", "branch", "pull", "author", "action", "state"}, func(key string) bool { return q.Get(key) != "" })
	s.render(w, r, "tide-history", "Tide history", struct {
		Enabled, Filtered bool
		Filter            url.Values
		Actions           []string
		Total             int
		Rows              []historyRow
	}{s.tide != nil, filtered, q, []string{"MERGE", "MERGE_BATCH", "TRIGGER", "TRIGGER_BATCH"}, len(rows), rows[:min(len(rows), maxHistory)]})
}
