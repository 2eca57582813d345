package pluginconfig

import "slices"

// Owners configures how OWNERS files are read.
type Owners struct {
	// MDYAMLRepos are orgs and "org/repo"s whose Markdown files may carry owners.
	MDYAMLRepos []string `json:"mdyamlrepos,omitempty"`
	// SkipCollaborators are orgs and "org/repo"s whose owners need not be collaborators.
	SkipCollaborators []string `json:"skip_collaborators,omitempty"`
	// LabelsDenyList are labels that OWNERS files may not set. Default where
	// the key is absent: approved and lgtm.
	LabelsDenyList []string `json:"labels_denylist,omitempty"`
	// Filenames maps an org or "org/repo" to other names of the files.
	Filenames map[string]OwnersFilenames `json:"filenames,omitempty"`
}

// OwnersFilenames are names of the files.
type OwnersFilenames struct {
	// Owners replaces OWNERS. Default: OWNERS, where there is no entry.
	Owners string `json:"owners,omitempty"`
	// OwnersAliases replaces OWNERS_ALIASES. Default: OWNERS_ALIASES, where
	// there is no entry.
	OwnersAliases string `json:"owners_aliases,omitempty"`
}

// defaultOwnersFilenames are the names where nothing else is configured.
var defaultOwnersFilenames = OwnersFilenames{Owners: "OWNERS", OwnersAliases: "OWNERS_ALIASES"}

// OwnersFilenames are the names of the files in a repository.
func (c *Configuration) OwnersFilenames(org, repo string) OwnersFilenames {
	for _, key := range []string{org + "/" + repo, org} {
		if names, ok := c.Owners.Filenames[key]; ok {
			return names
		}
	}
	return defaultOwnersFilenames
}

// MDYAMLEnabled tells whether Markdown files of a repository may carry owners.
func (c *Configuration) MDYAMLEnabled(org, repo string) bool {
	return listed(c.Owners.MDYAMLRepos, org, repo)
}

// SkipsCollaborators tells whether owners of a repository need not be collaborators.
func (c *Configuration) SkipsCollaborators(org, repo string) bool {
	return listed(c.Owners.SkipCollaborators, org, repo)
}

func listed(list []string, org, repo string) bool {
	return slices.Contains(list, org) || slices.Contains(list, org+"/"+repo)
}

func (o *Owners) resolve(r *rules) {
	if o.LabelsDenyList == nil {
		o.LabelsDenyList = []string{"approved", "lgtm"}
	}
	for _, key := range sortedKeys(o.Filenames) {
		if names := o.Filenames[key]; names.Owners == "" || names.OwnersAliases == "" {
			r.report("owners.filenames."+key, "found only one name, expected owners and owners_aliases")
		}
	}
}
