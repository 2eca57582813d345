package gitmirror

import (
	"maps"
	"slices"
	"strings"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/git"
)

// targets maps the places of mirrors to the addresses that are mirrored there:
// of the repositories named, and of those that jobs clone as a whole. Others
// would not look at a mirror.
func targets(host string, repos []string, cfg *config.Config) map[string]string {
	all := map[string]string{}
	add := func(address string) {
		if place, ok := git.MirrorPlace(address); ok {
			all[place] = address
		}
	}
	for _, repo := range repos {
		add(addressOf(host, repo, ""))
	}
	if cfg == nil {
		return all
	}
	job := func(utility config.UtilityConfig, repo string) {
		d := utility.DecorationConfig
		if utility.Decorate == nil || !*utility.Decorate || (d != nil && d.SkipCloning != nil && *d.SkipCloning) {
			return
		}
		if repo != "" && utility.CloneDepth == 0 && whole(d, v1.Refs{}) && (d == nil || len(d.SparseCheckoutFiles)+len(d.SparseCheckout) == 0) {
			add(addressOf(host, repo, utility.CloneURI))
		}
		for _, refs := range utility.ExtraRefs {
			if whole(d, refs) {
				add(addressOf(host, refs.OrgRepoString(), refs.CloneURI))
			}
		}
	}
	for _, repo := range slices.Sorted(maps.Keys(cfg.PresubmitsByRepo)) {
		for _, j := range cfg.PresubmitsByRepo[repo] {
			job(j.UtilityConfig, repo)
		}
	}
	for _, repo := range slices.Sorted(maps.Keys(cfg.PostsubmitsByRepo)) {
		for _, j := range cfg.PostsubmitsByRepo[repo] {
			job(j.UtilityConfig, repo)
		}
	}
	for _, j := range cfg.Periodics {
		job(j.UtilityConfig, "")
	}
	return all
}

// whole tells whether refs are cloned with all history and all files.
func whole(d *v1.DecorationConfig, refs v1.Refs) bool {
	blobless := refs.BloblessFetch
	if blobless == nil && d != nil {
		blobless = d.BloblessFetch
	}
	return refs.CloneDepth == 0 && (blobless == nil || !*blobless) && len(refs.SparseCheckoutFiles)+len(refs.SparseCheckout) == 0
}

// addressOf is where clones fetch a repository from. Gerrit's names are addresses.
func addressOf(host, repo, cloneURI string) string {
	switch {
	case cloneURI != "":
		return cloneURI
	case strings.Contains(repo, "://"):
		return repo
	}
	return "https://" + host + "/" + repo
}
