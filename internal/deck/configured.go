package deck

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/storage"
)

// maxReposWithJobs is of how many repositories of an org the jobs are shown, too.
const maxReposWithJobs = 10

// configuredView is the page of configured jobs.
type configuredView struct {
	// Title is the org or the repository; empty for all.
	Title string
	Orgs  []configuredOrg
	// NamesOnly tells that there are too many repositories to show their jobs.
	NamesOnly bool
}

type configuredOrg struct {
	Name, Link string
	Repos      []configuredRepo
}

type configuredRepo struct {
	Name, Full, Link string
	Jobs             []configuredJob
}

type configuredJob struct {
	Name, Type, History, YAML string
}

// splitFullName splits the name of a repository in the configuration. The org of a Gerrit
// repository is the URL of its host.
func splitFullName(full string) (org, repo string, ok bool) {
	if scheme, rest, found := strings.Cut(full, "://"); found {
		host, repo, ok := strings.Cut(rest, "/")
		return scheme + "://" + host, repo, ok && repo != "" && host != ""
	}
	org, repo, ok = strings.Cut(full, "/")
	return org, repo, ok && org != "" && repo != "" && !strings.Contains(repo, "/")
}

// configuredJobsPage shows the jobs of the configuration: of everything, an org, or a
// repository.
func (s *server) configuredJobsPage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	rest := strings.Trim(strings.TrimPrefix(r.URL.EscapedPath(), "/configured-jobs"), "/")
	var names []string
	for _, part := range strings.Split(rest, "/") {
		name, err := url.PathUnescape(part)
		if err != nil {
			s.notFound(w, r)
			return
		}
		names = append(names, name)
	}
	if len(names) > 2 {
		s.notFound(w, r)
		return
	}
	cfg := s.config.Get()
	view := &configuredView{Title: strings.Join(names, "/")}
	count := 0
	for _, full := range sets.List(cfg.AllRepos()) {
		org, repo, ok := splitFullName(full)
		if !ok || names[0] != "" && org != names[0] || len(names) == 2 && repo != names[1] {
			continue
		}
		found, shown := s.configuredRepo(cfg, full, org, repo)
		if !shown {
			continue
		}
		if n := len(view.Orgs); n == 0 || view.Orgs[n-1].Name != org {
			view.Orgs = append(view.Orgs, configuredOrg{Name: org, Link: "configured-jobs/" + url.PathEscape(org)})
		}
		last := &view.Orgs[len(view.Orgs)-1]
		last.Repos = append(last.Repos, found)
		count++
	}
	if names[0] != "" && count == 0 {
		s.notFound(w, r)
		return
	}
	if names[0] == "" || count > maxReposWithJobs {
		view.NamesOnly = true
		for i := range view.Orgs {
			for j := range view.Orgs[i].Repos {
				view.Orgs[i].Repos[j].Jobs = nil
			}
		}
	}
	noStore(w)
	s.render(w, r, "configured-jobs", "Configured jobs", view)
}

// configuredRepo describes a repository, and tells whether it is shown: by the jobs of
// it that are, or where it has none, by itself.
func (s *server) configuredRepo(cfg *config.Config, full, org, repo string) (configuredRepo, bool) {
	out := configuredRepo{Name: repo, Full: full, Link: "configured-jobs/" + url.PathEscape(org) + "/" + url.PathEscape(repo)}
	has := false
	add := func(base *config.JobBase, kind v1.ProwJobType, job any, where string) {
		has = true
		if !s.seesConfigured(cfg, base, where) {
			return
		}
		text, err := yaml.Marshal(job)
		if err != nil {
			text = []byte("# it cannot be written as YAML\n")
		}
		out.Jobs = append(out.Jobs, configuredJob{Name: base.Name, Type: string(kind), YAML: string(text), History: s.historyOf(cfg, base.DecorationConfig, full, base.Cluster, kind, base.Name)})
	}
	presubmits, postsubmits := cfg.PresubmitsStatic(full), cfg.PostsubmitsStatic(full)
	for i := range presubmits {
		add(&presubmits[i].JobBase, v1.PresubmitJob, &presubmits[i], full)
	}
	for i := range postsubmits {
		add(&postsubmits[i].JobBase, v1.PostsubmitJob, &postsubmits[i], full)
	}
	for _, p := range cfg.PeriodicsForRepo(org, repo) {
		add(&p.JobBase, v1.PeriodicJob, p, "")
	}
	if has {
		return out, len(out.Jobs) > 0
	}
	return out, s.seesConfigured(cfg, &config.JobBase{ProwJobDefault: cfg.GetProwJobDefault(full, "*")}, full)
}

// historyOf is the page of a job's history; empty where it stores nothing.
func (s *server) historyOf(cfg *config.Config, decoration *v1.DecorationConfig, repo, cluster string, kind v1.ProwJobType, job string) string {
	if !s.spyglass {
		return ""
	}
	if decoration == nil || decoration.GCSConfiguration == nil {
		if cluster == "" {
			cluster = v1.DefaultClusterAlias
		}
		decoration = cfg.Plank.DecorationDefault(repo, cluster)
	}
	if decoration == nil || decoration.GCSConfiguration == nil || kind == v1.BatchJob {
		return ""
	}
	where, err := storage.ParseLocation(decoration.GCSConfiguration.Bucket)
	if err != nil {
		return ""
	}
	root := artifacts.HistoryRoot(kind, job)
	if kind != v1.PresubmitJob { // what leads to the builds of presubmits is below no prefix
		root = path.Join(decoration.GCSConfiguration.PathPrefix, root)
	}
	if where.Prefix != "" {
		root = where.Prefix + "/" + root
	}
	return "job-history/" + escapePath(where.Provider+"/"+strings.Trim(where.Bucket, "/")+"/"+root)
}
