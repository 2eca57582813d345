package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Spyglass configures the job page.
type Spyglass struct {
	// Lenses show artifacts; they are tried in order.
	Lenses []LensFile `json:"lenses,omitempty"`
	// Viewers is the older form of Lenses: a regular expression of file names
	// to the lenses that need such a file.
	Viewers map[string][]string `json:"viewers,omitempty"`
	// SizeLimit is how much of an artifact a lens may read, in bytes. It must not
	// be negative. Default: 100000000.
	SizeLimit int64 `json:"size_limit,omitempty"`
	// GCSBrowserPrefix is the older form of the key "*" of gcs_browser_prefixes
	// and gcs_browser_prefixes_by_bucket, which it excludes.
	GCSBrowserPrefix string `json:"gcs_browser_prefix,omitempty"`
	// GCSBrowserPrefixes maps "org/repo", "org" or "*" to the URL of a storage browser.
	GCSBrowserPrefixes map[string]string `json:"gcs_browser_prefixes,omitempty"`
	// GCSBrowserPrefixesByBucket maps a bucket or "*" to the URL of a storage browser.
	GCSBrowserPrefixesByBucket map[string]string `json:"gcs_browser_prefixes_by_bucket,omitempty"`
	// Announcement is a Go template shown on every job page.
	Announcement string `json:"announcement,omitempty"`
	// TestGridConfig is the storage path of TestGrid's configuration. Default:
	// empty, which shows no links.
	TestGridConfig string `json:"testgrid_config,omitempty"`
	// TestGridRoot is the URL of TestGrid. Default: empty, which shows no links.
	TestGridRoot string `json:"testgrid_root,omitempty"`
	// HidePRHistLink leaves out the link to the history of the pull request.
	// Default: false.
	HidePRHistLink bool `json:"hide_pr_history_link,omitempty"`
	// PRHistLinkTemplate is a Go template with Org, Repo and Number. Default:
	// /pr-history?org={{.Org}}&repo={{.Repo}}&pr={{.Number}}.
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
	// Name is that of a built-in lens, or of the lens behind the endpoint.
	Name string `json:"name"`
	// Config is the lens's own, of any form.
	Config json.RawMessage `json:"config,omitempty"`
}

// LensRemoteConfig says where a lens is served and how it is shown.
type LensRemoteConfig struct {
	// Endpoint is the URL the lens is served at. Default: the built-in lens.
	Endpoint string `json:"endpoint"`
	// StaticRoot is the URL below which the lens's files are.
	StaticRoot string `json:"static_root"`
	// Title stands above the lens. Default, for a built-in lens: its own.
	Title string `json:"title"`
	// Priority orders the lenses; lower ones come first. Default, for a built-in
	// lens: its own.
	Priority *uint `json:"priority"`
	// HideTitle leaves the title out. Default, for a built-in lens: its own.
	HideTitle *bool `json:"hide_title"`
}

// legacyViewers are older names of lenses.
var legacyViewers = map[string]string{"build-log-viewer": "buildlog", "metadata-viewer": "metadata", "junit-viewer": "junit"}

func (sg *Spyglass) resolve(s *sectionContext) {
	const field = "deck.spyglass"
	if sg.SizeLimit < 0 {
		s.report(field+".size_limit", "found %d, expected a number of bytes", sg.SizeLimit)
	}
	defaultTo(&sg.SizeLimit, 100_000_000)
	for _, files := range slices.Sorted(maps.Keys(sg.Viewers)) {
		for _, viewer := range slices.Sorted(slices.Values(sg.Viewers[files])) {
			if name, renamed := legacyViewers[viewer]; renamed {
				viewer = name
			}
			s.warn(field+".viewers", "deprecated; use lenses for %s", viewer)
			sg.Lenses = append(sg.Lenses, LensFile{RequiredFiles: []string{files}, Lens: LensConfig{Name: viewer}})
		}
	}
	sg.Viewers = nil
	for i := range sg.Lenses {
		lens := &sg.Lenses[i]
		lens.required = compileAll(s, fmt.Sprintf("%s.lenses[%d].required_files", field, i), lens.RequiredFiles)
		lens.optional = compileAll(s, fmt.Sprintf("%s.lenses[%d].optional_files", field, i), lens.OptionalFiles)
		if lens.RemoteConfig != nil && lens.RemoteConfig.Endpoint != "" {
			checkURL(s.report, fmt.Sprintf("%s.lenses[%d].remote_config.endpoint", field, i), lens.RemoteConfig.Endpoint)
		}
	}
	for name, m := range map[string]*map[string]string{"gcs_browser_prefixes": &sg.GCSBrowserPrefixes, "gcs_browser_prefixes_by_bucket": &sg.GCSBrowserPrefixesByBucket} {
		if _, set := (*m)["*"]; !set {
			if *m == nil {
				*m = map[string]string{}
			}
			(*m)["*"] = sg.GCSBrowserPrefix
		} else if sg.GCSBrowserPrefix != "" {
			s.report(field+".gcs_browser_prefix", "found together with an entry * of %s, expected one of them", name)
		}
	}
	sg.GCSBrowserPrefix = ""
}

// Required and Optional are the expressions of the files of a lens.
func (l *LensFile) Required() []*regexp.Regexp { return l.required }

// Optional are the expressions of further files of a lens.
func (l *LensFile) Optional() []*regexp.Regexp { return l.optional }

// BrowserPrefix is the URL of the storage browser for the repository, else for
// the bucket, else for all; empty where none is configured.
func (sg *Spyglass) BrowserPrefix(org, repo, bucket string) string {
	for _, candidate := range []string{
		sg.GCSBrowserPrefixes[org+"/"+repo],
		sg.GCSBrowserPrefixes[org],
		sg.GCSBrowserPrefixesByBucket[bucket],
		sg.GCSBrowserPrefixes["*"],
	} {
		if candidate != "" {
			return candidate
		}
	}
	return sg.GCSBrowserPrefixesByBucket["*"]
}
