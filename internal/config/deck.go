package config

import (
	"fmt"
	"text/template"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	v1 "prow/api/prowjobs/v1"
)

// Deck configures the pages.
type Deck struct {
	// Spyglass configures the job page.
	Spyglass Spyglass `json:"spyglass,omitempty"`
	// TideUpdatePeriod is how often Tide's status is fetched. Default: 10s.
	TideUpdatePeriod *metav1.Duration `json:"tide_update_period,omitempty"`
	// HiddenRepos are orgs and "org/repo"s whose jobs count as hidden.
	HiddenRepos []string `json:"hidden_repos,omitempty"`
	// ExternalAgentLogs say where the logs of other agents are.
	ExternalAgentLogs []ExternalAgentLog `json:"external_agent_logs,omitempty"`
	// Branding changes the look.
	Branding *Branding `json:"branding,omitempty"`
	// GoogleAnalytics is a tracking id.
	GoogleAnalytics string `json:"google_analytics,omitempty"`
	// RerunAuthConfigs is the older form of default_rerun_auth_configs, by "",
	// "*", "org" or "org/repo", which it excludes. Read RerunAuth instead.
	RerunAuthConfigs map[string]v1.RerunAuthConfig `json:"rerun_auth_configs,omitempty"`
	// DefaultRerunAuthConfigs says who may run jobs again; the last entry that
	// matches a job counts alone. Read RerunAuth instead.
	DefaultRerunAuthConfigs []RerunAuthEntry `json:"default_rerun_auth_configs,omitempty"`
	// Administrators may see the webhooks that hook received, and have them handled
	// again, where people sign in. Default: nobody may.
	Administrators *v1.RerunAuthConfig `json:"administrators,omitempty"`
	// SkipStoragePathValidation must be explicitly false for requested buckets to
	// be checked. Default: true.
	SkipStoragePathValidation *bool `json:"skip_storage_path_validation,omitempty"`
	// AdditionalAllowedBuckets are buckets that may be shown although no job names
	// them. They need skip_storage_path_validation: false.
	AdditionalAllowedBuckets []string `json:"additional_allowed_buckets,omitempty"`

	rerunAuth []RerunAuthEntry
}

// RerunAuthEntry says who may run again the jobs it is for.
type RerunAuthEntry struct {
	// OrgRepo is "", "*", "org" or "org/repo", compared literally.
	OrgRepo string `json:"repo,omitempty"`
	// Cluster is "", "*" or an alias.
	Cluster string `json:"cluster,omitempty"`
	// Config is one config, in spite of the plural of its key.
	Config *v1.RerunAuthConfig `json:"rerun_auth_configs,omitempty"`
}

// ExternalAgentLog says where the logs of jobs of one agent are.
type ExternalAgentLog struct {
	// Agent is the agent of the jobs.
	Agent string `json:"agent,omitempty"`
	// Selector limits the entry to ProwJobs whose labels match this Kubernetes
	// label selector. Default: all.
	Selector string `json:"selector,omitempty"`
	// URLTemplate is a Go template over the ProwJob.
	URLTemplate string `json:"url_template,omitempty"`

	selector    labels.Selector
	urlTemplate *template.Template
}

// Branding changes the look of the pages.
type Branding struct {
	// Logo is the URL of the image in the corner.
	Logo string `json:"logo,omitempty"`
	// Favicon is the URL of the icon of the pages.
	Favicon string `json:"favicon,omitempty"`
	// BackgroundColor is the colour of the pages, as in CSS.
	BackgroundColor string `json:"background_color,omitempty"`
	// HeaderColor is the colour of the header, as in CSS.
	HeaderColor string `json:"header_color,omitempty"`
}

func (d *Deck) resolve(s *sectionContext) {
	defaultDuration(&d.TideUpdatePeriod, 10*time.Second)
	for i := range d.ExternalAgentLogs {
		log := &d.ExternalAgentLogs[i]
		field := fmt.Sprintf("deck.external_agent_logs[%d]", i)
		var err error
		if log.selector, err = labels.Parse(log.Selector); err != nil {
			s.report(field+".selector", "found %q, expected a label selector: %v", log.Selector, err)
		}
		log.urlTemplate = checkTemplate(s.report, field+".url_template", "URL", log.URLTemplate, nil)
	}
	d.resolveRerunAuth(s)
	if len(d.AdditionalAllowedBuckets) > 0 && !d.ValidatesBuckets() {
		s.report("deck.additional_allowed_buckets", "found together with buckets that are not checked, expected skip_storage_path_validation: false")
	}
	d.Spyglass.resolve(s)
}

func (d *Deck) resolveRerunAuth(s *sectionContext) {
	if len(d.RerunAuthConfigs) > 0 && len(d.DefaultRerunAuthConfigs) > 0 {
		s.report("deck.rerun_auth_configs", "found together with default_rerun_auth_configs, expected one of them")
	}
	if err := d.Administrators.Validate(); err != nil {
		s.report("deck.administrators", "%v", err)
	}
	d.rerunAuth = d.DefaultRerunAuthConfigs
	for i, entry := range d.DefaultRerunAuthConfigs {
		if err := entry.Config.Validate(); err != nil {
			s.report(fmt.Sprintf("deck.default_rerun_auth_configs[%d].rerun_auth_configs", i), "%v", err)
		}
	}
	for _, key := range bySpecificity(d.RerunAuthConfigs) {
		auth := d.RerunAuthConfigs[key]
		if err := auth.Validate(); err != nil {
			s.report("deck.rerun_auth_configs."+key, "%v", err)
		}
		d.rerunAuth = append(d.rerunAuth[:len(d.rerunAuth):len(d.rerunAuth)], RerunAuthEntry{OrgRepo: key, Config: &auth})
	}
}

// RerunAuth says who may run a job again, as far as the configuration of Deck
// decides it: the last entry that matches the repository and the cluster.
func (d *Deck) RerunAuth(spec *v1.ProwJobSpec) *v1.RerunAuthConfig {
	var repo string
	if refs := spec.MainRefs(); refs != nil {
		repo = refs.OrgRepoString()
	}
	var out *v1.RerunAuthConfig
	for _, entry := range d.rerunAuth {
		if entryMatches(entry.OrgRepo, entry.Cluster, repo, spec.Cluster) {
			out = entry.Config
		}
	}
	return out
}

// ValidatesBuckets tells whether requested buckets are checked: only if that
// was asked for.
func (d *Deck) ValidatesBuckets() bool {
	return d.SkipStoragePathValidation != nil && !*d.SkipStoragePathValidation
}

// IsHidden tells whether the jobs of a repository count as hidden.
func (d *Deck) IsHidden(org, repo string) bool { return inRepoList(d.HiddenRepos, org, repo) }

// Matches tells whether the entry is for a job.
func (l *ExternalAgentLog) Matches(pj *v1.ProwJob) bool {
	return string(pj.Spec.Agent) == l.Agent && l.selector.Matches(labels.Set(pj.Labels))
}

// URLTemplateParsed is the template of the URL of a log.
func (l *ExternalAgentLog) URLTemplateParsed() *template.Template { return l.urlTemplate }
