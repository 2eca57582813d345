package config

import (
	"encoding/json"
	"regexp"
	"text/template"

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
	// RerunAuthConfigs is the older form, by "", "*", "org" or "org/repo".
	// Read RerunAuth instead.
	RerunAuthConfigs map[string]v1.RerunAuthConfig `json:"rerun_auth_configs,omitempty"`
	// DefaultRerunAuthConfigs says who may run jobs again. Read RerunAuth instead.
	DefaultRerunAuthConfigs []RerunAuthEntry `json:"default_rerun_auth_configs,omitempty"`
	// SkipStoragePathValidation must be explicitly false for requested buckets
	// to be checked.
	SkipStoragePathValidation *bool `json:"skip_storage_path_validation,omitempty"`
	// AdditionalAllowedBuckets are buckets that may be shown although no job
	// names them.
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
	Agent string `json:"agent,omitempty"`
	// Selector limits the entry to ProwJobs with these labels.
	Selector string `json:"selector,omitempty"`
	// URLTemplate is a Go template over the ProwJob.
	URLTemplate string `json:"url_template,omitempty"`

	selector    labels.Selector
	urlTemplate *template.Template
}

// Branding changes the look of the pages.
type Branding struct {
	Logo            string `json:"logo,omitempty"`
	Favicon         string `json:"favicon,omitempty"`
	BackgroundColor string `json:"background_color,omitempty"`
	HeaderColor     string `json:"header_color,omitempty"`
}

// Spyglass configures the job page.
type Spyglass struct {
	// Lenses show artifacts; they are tried in order.
	Lenses []LensFile `json:"lenses,omitempty"`
	// Viewers is the older form of Lenses: a regular expression of file names
	// to the lenses that need such a file.
	Viewers map[string][]string `json:"viewers,omitempty"`
	// SizeLimit is how much of an artifact a lens may read, in bytes. Default: 100000000.
	SizeLimit int64 `json:"size_limit,omitempty"`
	// GCSBrowserPrefix is the older form of the "*" entry of the maps below.
	GCSBrowserPrefix string `json:"gcs_browser_prefix,omitempty"`
	// GCSBrowserPrefixes maps "org/repo", "org" or "*" to the URL of a storage browser.
	GCSBrowserPrefixes map[string]string `json:"gcs_browser_prefixes,omitempty"`
	// GCSBrowserPrefixesByBucket maps a bucket or "*" to the URL of a storage browser.
	GCSBrowserPrefixesByBucket map[string]string `json:"gcs_browser_prefixes_by_bucket,omitempty"`
	// Announcement is a Go template shown on every job page.
	Announcement string `json:"announcement,omitempty"`
	// TestGridConfig and TestGridRoot say where TestGrid is; empty shows no links.
	TestGridConfig string `json:"testgrid_config,omitempty"`
	TestGridRoot   string `json:"testgrid_root,omitempty"`
	// HidePRHistLink leaves out the link to the history of the pull request.
	HidePRHistLink bool `json:"hide_pr_history_link,omitempty"`
	// PRHistLinkTemplate is a Go template with Org, Repo and Number.
	PRHistLinkTemplate string `json:"pr_history_link_template,omitempty"`
	// BucketAliases maps a name in requests to a bucket.
	BucketAliases map[string]string `json:"bucket_aliases,omitempty"`
}

// LensFile says which lens shows which files.
type LensFile struct {
	// RequiredFiles are regular expressions that must each match an artifact.
	RequiredFiles []string `json:"required_files,omitempty"`
	// OptionalFiles are regular expressions of further files to show.
	OptionalFiles []string `json:"optional_files,omitempty"`
	// Lens names the lens.
	Lens LensConfig `json:"lens"`
	// RemoteConfig says where the lens is served; built-in lenses need none.
	RemoteConfig *LensRemoteConfig `json:"remote_config,omitempty"`

	required, optional []*regexp.Regexp
}

// LensConfig names a lens and carries its own settings.
type LensConfig struct {
	Name   string          `json:"name"`
	Config json.RawMessage `json:"config,omitempty"`
}

// LensRemoteConfig says where a lens is served and how it is shown.
type LensRemoteConfig struct {
	Endpoint   string `json:"endpoint"`
	StaticRoot string `json:"static_root"`
	Title      string `json:"title"`
	Priority   *uint  `json:"priority"`
	HideTitle  *bool  `json:"hide_title"`
}
