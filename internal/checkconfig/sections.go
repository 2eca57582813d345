package checkconfig

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"prow/internal/config"
)

func validateURLs(in *input) []config.Problem {
	link := in.config.StatusErrorLink
	if u, err := url.Parse(link); err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "") {
		return nil
	}
	return []config.Problem{in.files.at([]string{"status_error_link"}, "found %q, expected a URL such as https://example.org/issues", link)}
}

func managedWebhooks(in *input) []config.Problem {
	var out []config.Problem
	hooks := in.config.ManagedWebhooks.OrgRepoConfig
	for _, key := range sortedKeys(hooks) {
		org, _, isRepo := strings.Cut(key, "/")
		if _, both := hooks[org]; isRepo && both {
			out = append(out, in.files.at([]string{"managed_webhooks", "org_repo_config", key},
				"the webhook of the org %s sends the events of this repository as well: each would come twice", org))
		}
	}
	return out
}

func validateLabel(in *input) []config.Problem {
	var out []config.Problem
	additional := in.plugins.Label.AdditionalLabels
	for _, key := range sortedKeys(in.plugins.Label.RestrictedLabels) {
		for i, restricted := range in.plugins.Label.RestrictedLabels[key] {
			problem := func(field, format string, args ...any) {
				out = append(out, in.inPlugins("label.restricted_labels."+key+element(i)+field, format, args...))
			}
			if restricted.Label == "" {
				problem("", "the restricted label has no name")
				continue
			}
			// Labels are the same in any case.
			if slices.ContainsFunc(additional, func(l string) bool { return strings.EqualFold(l, restricted.Label) }) {
				problem(".label", "the label %s is restricted here, but label.additional_labels lets everybody set it", restricted.Label)
			}
		}
	}
	return out
}

func validateACLs(in *input) []config.Problem {
	var out []config.Problem
	for _, glob := range sortedKeys(in.plugins.ConfigUpdater.Maps) {
		spec := in.plugins.ConfigUpdater.Maps[glob]
		for _, list := range []struct {
			field   string
			entries []string
		}{{"allowed_repos", spec.AllowedRepos}, {"denied_repos", spec.DeniedRepos}} {
			for i, entry := range list.entries {
				if org, _, _ := strings.Cut(entry, "/"); org == "" || strings.Count(entry, "/") > 1 {
					out = append(out, in.pluginFiles.at([]string{"config_updater", "maps", glob, list.field, element(i)},
						"found %q, expected an org or org/repo", entry))
				}
			}
		}
	}
	return out
}

// inPlugins is a problem with a field of the merged plugin configuration, at
// the place it was written.
func (in *input) inPlugins(field, format string, args ...any) config.Problem {
	file, at := in.plugins.Place(field)
	var c config.Collector
	for _, f := range in.pluginFiles {
		c.Source(f.path, f.data)
	}
	c.InFile(file)(at, format, args...)
	var placed config.Errors
	if !errors.As(c.Err(), &placed) || len(placed) == 0 {
		return config.Problem{File: file, Field: at, Message: fmt.Sprintf(format, args...)}
	}
	return placed[0]
}
