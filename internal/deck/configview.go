package deck

import (
	"slices"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// visibleConfig is the configuration without the jobs whose runs are not shown.
func (s *server) visibleConfig(cfg *config.Config) any {
	out := struct {
		config.JobConfig
		config.ProwConfig
	}{cfg.JobConfig, cfg.ProwConfig}
	out.PresubmitsByRepo = map[string][]config.Presubmit{}
	for repo, jobs := range cfg.PresubmitsByRepo {
		kept := slices.DeleteFunc(slices.Clone(jobs), func(j config.Presubmit) bool { return !s.seesConfigured(cfg, &j.JobBase, repo) })
		if len(kept) > 0 {
			out.PresubmitsByRepo[repo] = kept
		}
	}
	out.PostsubmitsByRepo = map[string][]config.Postsubmit{}
	for repo, jobs := range cfg.PostsubmitsByRepo {
		kept := slices.DeleteFunc(slices.Clone(jobs), func(j config.Postsubmit) bool { return !s.seesConfigured(cfg, &j.JobBase, repo) })
		if len(kept) > 0 {
			out.PostsubmitsByRepo[repo] = kept
		}
	}
	out.Periodics = slices.DeleteFunc(slices.Clone(cfg.Periodics), func(j config.Periodic) bool { return !s.seesConfigured(cfg, &j.JobBase, "") })
	return out
}

// seesConfigured tells whether the runs of a configured job would be shown.
func (s *server) seesConfigured(cfg *config.Config, job *config.JobBase, repo string) bool {
	return s.visible.job(&cfg.Deck, &v1.ProwJob{Spec: configuredSpec(job, repo)})
}

// configuredSpec is what of a configured job decides who sees its runs.
func configuredSpec(job *config.JobBase, repo string) v1.ProwJobSpec {
	spec := v1.ProwJobSpec{Job: job.Name, Hidden: job.Hidden, ExtraRefs: job.ExtraRefs, ProwJobDefault: job.ProwJobDefault}
	if org, name := splitRepo(repo); name != "" {
		spec.Refs = &v1.Refs{Org: org, Repo: name}
	}
	return spec
}

// specsNamed are the configured jobs of a name.
func specsNamed(cfg *config.Config, name string) (out []v1.ProwJobSpec) {
	for repo, jobs := range cfg.PresubmitsByRepo {
		for i := range jobs {
			if jobs[i].Name == name {
				out = append(out, configuredSpec(&jobs[i].JobBase, repo))
			}
		}
	}
	for repo, jobs := range cfg.PostsubmitsByRepo {
		for i := range jobs {
			if jobs[i].Name == name {
				out = append(out, configuredSpec(&jobs[i].JobBase, repo))
			}
		}
	}
	for i := range cfg.Periodics {
		if cfg.Periodics[i].Name == name {
			out = append(out, configuredSpec(&cfg.Periodics[i].JobBase, ""))
		}
	}
	return out
}

// hiddenByName tells whether some configured job of this name is not shown.
func (s *server) hiddenByName(cfg *config.Config, name string) bool {
	for _, spec := range specsNamed(cfg, name) {
		if !s.visible.job(&cfg.Deck, &v1.ProwJob{Spec: spec}) {
			return true
		}
	}
	return false
}
