package config

import (
	"maps"
	"slices"
	"strings"
	"text/template"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
)

// Controller holds the settings shared by the controllers of the agents.
type Controller struct {
	// JobURLTemplate is a Go template over the ProwJob; for jenkins_operators with
	// the function replace OLD NEW TEXT.
	JobURLTemplate string `json:"job_url_template,omitempty"`
	// ReportTemplate is the older form of the key "*" of report_templates, which
	// it excludes.
	ReportTemplate string `json:"report_template,omitempty"`
	// ReportTemplates maps "org/repo", "org" or "*" to a Go template over the
	// ProwJob that is added to comments.
	ReportTemplates map[string]string `json:"report_templates,omitempty"`
	// MaxConcurrency limits how many workloads exist at once; 0 is no limit. It
	// must not be negative. Default: 0.
	MaxConcurrency int `json:"max_concurrency,omitempty"`
	// MaxGoroutines limits how many jobs the Jenkins controller handles at once;
	// plank does not read it. It must not be negative. Default: 20.
	MaxGoroutines int `json:"max_goroutines,omitempty"`

	jobURLTemplate  *template.Template
	reportTemplates map[string]*template.Template
}

// Plank configures the controller that runs jobs as pods.
type Plank struct {
	Controller

	// PodPendingTimeout is how long a pod may be pending. Default: 10m.
	PodPendingTimeout *metav1.Duration `json:"pod_pending_timeout,omitempty"`
	// PodRunningTimeout is how long a pod may run. Default: 48h.
	PodRunningTimeout *metav1.Duration `json:"pod_running_timeout,omitempty"`
	// PodUnscheduledTimeout is how long a pod may wait for a node. Default: 5m.
	PodUnscheduledTimeout *metav1.Duration `json:"pod_unscheduled_timeout,omitempty"`
	// MaxRevivals is how often a pod is made again after it was lost or evicted; 0
	// is never. Default: 3.
	MaxRevivals *int `json:"max_revivals,omitempty"`
	// DefaultDecorationConfigsMap is the older form of
	// default_decoration_config_entries, by "*", "org" or "org/repo", which it
	// excludes. Read DecorationDefaults instead.
	DefaultDecorationConfigsMap map[string]*v1.DecorationConfig `json:"default_decoration_configs,omitempty"`
	// DefaultDecorationConfigEntries are the defaults of decoration_config; all
	// that match a job are merged in order, later ones win. Read
	// DecorationDefaults instead.
	DefaultDecorationConfigEntries []DecorationDefault `json:"default_decoration_config_entries,omitempty"`
	// JobURLPrefixConfig maps "org/repo", "org" or "*" to the URL below which
	// the output of jobs is shown.
	JobURLPrefixConfig map[string]string `json:"job_url_prefix_config,omitempty"`
	// JobURLPrefixDisableAppendStorageProvider leaves the storage provider, gs or
	// s3, out of job URLs. Default: false.
	JobURLPrefixDisableAppendStorageProvider bool `json:"jobURLPrefixDisableAppendStorageProvider,omitempty"`
	// BuildClusterStatusFile is a storage path where the health of the build
	// clusters is published as JSON. Default: nowhere.
	BuildClusterStatusFile string `json:"build_cluster_status_file,omitempty"`
	// JobQueueCapacities maps a queue to how many of its jobs may exist at
	// once; 0 blocks the queue, a negative number is no limit.
	JobQueueCapacities map[string]int `json:"job_queue_capacities,omitempty"`

	decorationDefaults []DecorationDefault
}

// DecorationDefault is a default decoration config and the jobs it is for.
type DecorationDefault struct {
	// OrgRepo is "", "*", "org" or "org/repo", compared literally.
	OrgRepo string `json:"repo,omitempty"`
	// Cluster is "", "*" or an alias.
	Cluster string `json:"cluster,omitempty"`
	// Config holds the fields that are set.
	Config *v1.DecorationConfig `json:"config,omitempty"`
}

// ProwJobDefaultEntry is a default of prowjob_defaults and the jobs it is for.
type ProwJobDefaultEntry struct {
	// OrgRepo is "", "*", "org" or "org/repo", compared literally.
	OrgRepo string `json:"repo,omitempty"`
	// Cluster is "", "*" or an alias.
	Cluster string `json:"cluster,omitempty"`
	// Config holds the fields that are set.
	Config *v1.ProwJobDefault `json:"config,omitempty"`
}

// StorageProviderInURL tells whether job URLs name the storage provider.
func (p *Plank) StorageProviderInURL() bool { return !p.JobURLPrefixDisableAppendStorageProvider }

// DecorationDefaults are the default decoration configs, in the order in which
// later ones override earlier ones, whichever form the file uses.
func (p *Plank) DecorationDefaults() []DecorationDefault { return p.decorationDefaults }

// DecorationDefault merges the defaults for jobs of a repository ("org/repo",
// or empty) on a cluster; nil where none matches. The result must not be modified.
func (p *Plank) DecorationDefault(repo, cluster string) *v1.DecorationConfig {
	var merged *v1.DecorationConfig
	for _, entry := range p.decorationDefaults {
		if entryMatches(entry.OrgRepo, entry.Cluster, repo, cluster) {
			merged = entry.Config.ApplyDefault(merged)
		}
	}
	return merged
}

// JobURLPrefix is the URL below which the output of jobs for the refs is
// shown: the first entry of "org/repo", "org" and "*" that is not empty.
// A job's own prefix goes before, see JobURLPrefixOf.
func (p *Plank) JobURLPrefix(refs *v1.Refs) string {
	if refs != nil && refs.Org != "" {
		for _, key := range []string{refs.Org + "/" + refs.Repo, refs.Org} {
			if prefix := p.JobURLPrefixConfig[key]; prefix != "" {
				return prefix
			}
		}
	}
	return p.JobURLPrefixConfig["*"]
}

// JobURLPrefixOf is the URL below which the output of a job is shown: that of
// its decoration config, else that of its repository.
func (p *Plank) JobURLPrefixOf(spec *v1.ProwJobSpec) string {
	if d := spec.DecorationConfig; d != nil && d.GCSConfiguration != nil && d.GCSConfiguration.JobURLPrefix != "" {
		return d.GCSConfiguration.JobURLPrefix
	}
	return p.JobURLPrefix(spec.MainRefs())
}

// JobURLTemplateParsed is the template of job URLs, for jobs without a prefix;
// nil where none is configured.
func (c *Controller) JobURLTemplateParsed() *template.Template { return c.jobURLTemplate }

// ReportTemplateFor is the template added to comments about jobs for the refs;
// nil where none is configured.
func (c *Controller) ReportTemplateFor(refs *v1.Refs) *template.Template {
	var org, repo string
	if refs != nil {
		org, repo = refs.Org, refs.Repo
	}
	t, _ := byRepo(c.reportTemplates, org, repo)
	return t
}

// GetProwJobDefault merges prowjob_default_entries for jobs of a repository
// ("org/repo", or empty) on a cluster; never nil, and with a tenant.
func (c *ProwConfig) GetProwJobDefault(repo, cluster string) *v1.ProwJobDefault {
	return c.mergeProwJobDefault(nil, repo, cluster)
}

// mergeProwJobDefault merges the matching entries in order, then the job's own.
func (c *ProwConfig) mergeProwJobDefault(own *v1.ProwJobDefault, repo, cluster string) *v1.ProwJobDefault {
	merged := &v1.ProwJobDefault{}
	overlay := func(d *v1.ProwJobDefault) {
		if d == nil {
			return
		}
		if d.TenantID != "" {
			merged.TenantID = d.TenantID
		}
		if d.ResultStoreConfig != nil {
			if merged.ResultStoreConfig == nil {
				merged.ResultStoreConfig = &v1.ResultStoreConfig{}
			}
			if id := d.ResultStoreConfig.ProjectID; id != "" {
				merged.ResultStoreConfig.ProjectID = id
			}
		}
	}
	for _, entry := range c.ProwJobDefaultEntries {
		if entryMatches(entry.OrgRepo, entry.Cluster, repo, cluster) {
			overlay(entry.Config)
		}
	}
	overlay(own)
	if merged.TenantID == "" {
		merged.TenantID = v1.GlobalDefaultTenantID
	}
	return merged
}

func (c *Controller) resolve(s *sectionContext, field string, funcs template.FuncMap) {
	if c.JobURLTemplate != "" {
		c.jobURLTemplate = checkTemplate(s.report, field+".job_url_template", "JobURL", c.JobURLTemplate, funcs)
	}
	if c.ReportTemplate != "" {
		if len(c.ReportTemplates) > 0 {
			s.report(field+".report_template", "found together with report_templates, expected only report_templates")
		} else {
			s.warn(field+".report_template", "deprecated; use report_templates with the key *")
			c.ReportTemplates, c.ReportTemplate = map[string]string{"*": c.ReportTemplate}, ""
		}
	}
	c.reportTemplates = make(map[string]*template.Template, len(c.ReportTemplates))
	for _, key := range slices.Sorted(maps.Keys(c.ReportTemplates)) {
		c.reportTemplates[key] = checkTemplate(s.report, field+".report_templates."+key, "Report", c.ReportTemplates[key], nil)
	}
	if c.MaxConcurrency < 0 {
		s.report(field+".max_concurrency", "found %d, expected 0 (no limit) or a positive number", c.MaxConcurrency)
	}
	if c.MaxGoroutines < 0 {
		s.report(field+".max_goroutines", "found %d, expected a positive number", c.MaxGoroutines)
	}
	defaultTo(&c.MaxGoroutines, 20)
}

func (p *Plank) resolve(s *sectionContext) {
	p.Controller.resolve(s, "plank", nil)
	defaultDuration(&p.PodPendingTimeout, 10*time.Minute)
	defaultDuration(&p.PodRunningTimeout, 48*time.Hour)
	defaultDuration(&p.PodUnscheduledTimeout, 5*time.Minute)
	if p.MaxRevivals == nil {
		p.MaxRevivals = new(int)
		*p.MaxRevivals = 3
	}
	if len(p.DefaultDecorationConfigsMap) > 0 && len(p.DefaultDecorationConfigEntries) > 0 {
		s.report("plank.default_decoration_configs", "found together with default_decoration_config_entries, expected one of them")
	}
	p.decorationDefaults = p.DefaultDecorationConfigEntries
	if len(p.DefaultDecorationConfigEntries) == 0 {
		for _, key := range bySpecificity(p.DefaultDecorationConfigsMap) {
			p.decorationDefaults = append(p.decorationDefaults, DecorationDefault{OrgRepo: key, Config: p.DefaultDecorationConfigsMap[key]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.JobURLPrefixConfig)) {
		checkURL(s.report, "plank.job_url_prefix_config."+key, p.JobURLPrefixConfig[key])
	}
}

// bySpecificity lists keys of the older maps of defaults: "", "*", orgs, then
// repositories, each in lexical order.
func bySpecificity[T any](m map[string]T) []string {
	rank := func(key string) int {
		switch {
		case key == "":
			return 0
		case key == "*":
			return 1
		case !strings.Contains(withoutScheme(key), "/"):
			return 2
		}
		return 3
	}
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}
