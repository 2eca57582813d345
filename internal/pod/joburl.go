package pod

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"text/template"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

// URLs says how the page of a run is addressed.
type URLs struct {
	// Prefixes map "org/repo", "org" or "*" to the URL below which output is shown.
	Prefixes map[string]string
	// OmitProvider leaves the storage provider (gs, s3) out of the path.
	OmitProvider bool
	// Template addresses jobs without such a prefix; it is executed on the ProwJob.
	Template *template.Template
}

// JobURL returns the address of a run's page; its build id must be set. On an
// error the address is empty, and the caller goes on without one.
func (u URLs) JobURL(pj *v1.ProwJob) (string, error) {
	decoration := pj.Spec.DecorationConfig
	if decoration != nil && decoration.GCSConfiguration != nil {
		prefix := decoration.GCSConfiguration.JobURLPrefix
		if prefix == "" {
			prefix = u.prefixFor(pj.Spec.MainRefs())
		}
		if prefix != "" {
			return u.storageURL(prefix, decoration.GCSConfiguration, artifacts.RunOf(pj))
		}
	}
	if u.Template == nil {
		return "", nil
	}
	var b strings.Builder
	if err := u.Template.Execute(&b, pj); err != nil {
		return "", fmt.Errorf("job_url_template: %w", err)
	}
	return b.String(), nil
}

func (u URLs) prefixFor(refs *v1.Refs) string {
	if refs != nil && refs.Org != "" {
		for _, key := range []string{refs.Org + "/" + refs.Repo, refs.Org} {
			if prefix := u.Prefixes[key]; prefix != "" {
				return prefix
			}
		}
	}
	return u.Prefixes["*"]
}

func (u URLs) storageURL(prefix string, config *v1.GCSConfiguration, run artifacts.Run) (string, error) {
	page, err := url.Parse(prefix)
	if err != nil {
		return "", fmt.Errorf("job URL prefix: %w", err)
	}
	place, err := v1.ParseStoragePath(config.Bucket)
	if err != nil {
		return "", fmt.Errorf("job URL: %w", err)
	}
	dir, err := artifacts.PathForSpec(config, run)
	if err != nil {
		return "", fmt.Errorf("job URL: %w", err)
	}
	provider := place.Provider
	if u.OmitProvider {
		provider = ""
	}
	page.Path = path.Join(page.Path, provider, place.FullPath(), dir)
	return page.String(), nil
}
