package deck

import (
	"net/http"
	"net/url"
	"strings"
	"unique"
)

// githubLink leads to a page of the forge.
func (s *server) githubLink(w http.ResponseWriter, r *http.Request) {
	s.leadTo(w, r, s.githubBase, r.URL.Query().Get("dest"))
}

// leadTo redirects to a path below a host, which it never leaves.
func (s *server) leadTo(w http.ResponseWriter, r *http.Request, base, path string) {
	to, err := url.Parse(base + "/" + strings.TrimLeft(path, "/"))
	host, hostErr := url.Parse(base)
	if err != nil || hostErr != nil || to.Host != host.Host || to.User != nil {
		http.Error(w, "this leads nowhere", http.StatusBadRequest)
		return
	}
	noStore(w)
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// providerLink leads to a page of the code host of a repository. Hosts of Gerrit are those
// that the configuration or the jobs know, so that nobody makes this site lead elsewhere.
func (s *server) providerLink(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	repo := strings.Trim(q.Get("repo"), "'")
	part := func(name string) string { return url.PathEscape(q.Get(name)) }
	branch := escapePath(q.Get("branch"))
	if strings.HasPrefix(repo, "http://") || strings.HasPrefix(repo, "https://") {
		s.gerritLink(w, r, repo, q.Get("target"), branch, part)
		return
	}
	repo = escapePath(repo)
	switch q.Get("target") {
	case "commit":
		s.leadTo(w, r, s.githubBase, repo+"/commit/"+part("commit"))
	case "prcommit":
		s.leadTo(w, r, s.githubBase, repo+"/pull/"+part("number")+"/"+part("commit"))
	case "branch":
		s.leadTo(w, r, s.githubBase, repo+"/tree/"+branch)
	case "pr":
		s.leadTo(w, r, s.githubBase, repo+"/pull/"+part("number"))
	case "author":
		s.leadTo(w, r, s.githubBase, part("author"))
	default:
		noStore(w)
		http.Redirect(w, r, "/", http.StatusFound)
	}
}

func (s *server) gerritLink(w http.ResponseWriter, r *http.Request, repo, target, branch string, part func(string) string) {
	u, err := url.Parse(repo)
	if err != nil || u.Host == "" || u.User != nil || !s.knowsHost(u.Host) {
		http.Error(w, "no job here is about code of this host", http.StatusNotFound)
		return
	}
	review := u.Scheme + "://" + u.Host
	project := escapePath(strings.Trim(u.Path, "/"))
	first, rest, _ := strings.Cut(u.Host, ".")
	code, isReview := strings.CutSuffix(first, "-review")
	code = u.Scheme + "://" + code + "." + rest
	switch target {
	case "commit", "prcommit", "branch":
		if !isReview || project == "" {
			http.Error(w, "the host of the code cannot be told from that of its reviews", http.StatusNotFound)
			return
		}
		what := part("commit")
		if target == "branch" {
			what = "refs/heads/" + branch
		}
		s.leadTo(w, r, code, project+"/+/"+what)
	case "pr":
		s.leadTo(w, r, review, "c/"+project+"/+/"+part("number"))
	default:
		noStore(w)
		http.Redirect(w, r, "/", http.StatusFound)
	}
}

// knowsHost tells whether jobs that may be seen, or the configuration, are about code of
// a host.
func (s *server) knowsHost(host string) bool {
	cfg := s.config.Get()
	at := func(org string) bool {
		u, err := url.Parse(org)
		return err == nil && u.Host == host
	}
	for _, entry := range cfg.Gerrit.OrgReposConfig {
		if at(entry.Org) {
			return true
		}
	}
	for repo := range cfg.AllRepos() {
		if at(repo) {
			return true
		}
	}
	seen, found := decider(func(h unique.Handle[shape]) bool {
		sh := h.Value()
		org, _ := sh.mainRepo()
		return sh.repos != "" && at(org) && s.sight().of(h)
	}), false
	s.index.each(func(e *entry) bool {
		found = seen(e.shape)
		return !found
	})
	return found
}
