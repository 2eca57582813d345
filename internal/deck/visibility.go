package deck

import (
	"slices"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// visibility is what the viewers of this instance may see. Every handler asks it.
type visibility struct {
	hiddenOnly, showHidden bool
	tenants                []string
}

func (v visibility) showsHidden() bool { return v.hiddenOnly || v.showHidden }

// job tells whether a ProwJob is shown.
func (v visibility) job(deck *config.Deck, pj *v1.ProwJob) bool {
	tenant := ""
	if d := pj.Spec.ProwJobDefault; d != nil {
		tenant = d.TenantID
	}
	switch {
	case len(v.tenants) > 0:
		return slices.Contains(v.tenants, tenant)
	case isHidden(deck, &pj.Spec):
		return v.showsHidden()
	default:
		return !v.hiddenOnly && isDefaultTenant(tenant)
	}
}

func isDefaultTenant(id string) bool { return id == "" || id == v1.GlobalDefaultTenantID }

func isHidden(deck *config.Deck, spec *v1.ProwJobSpec) bool {
	if spec.Hidden || spec.Refs != nil && deck.IsHidden(spec.Refs.Org, spec.Refs.Repo) {
		return true
	}
	return slices.ContainsFunc(spec.ExtraRefs, func(r v1.Refs) bool { return deck.IsHidden(r.Org, r.Repo) })
}

// element tells whether something of Tide is shown: it belongs to tenants, and to a
// repository of a tenant, "" where that is not known.
func (v visibility) element(repoTenant string, ids []string, hidden bool) bool {
	ids = slices.Clone(ids)
	if !isDefaultTenant(repoTenant) {
		ids = append(ids, repoTenant)
	}
	if len(ids) == 0 {
		ids = []string{v1.GlobalDefaultTenantID}
	}
	switch {
	case len(v.tenants) > 0:
		return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(v.tenants, id) })
	case hidden:
		return v.showsHidden()
	default:
		return !v.hiddenOnly && !slices.ContainsFunc(ids, func(id string) bool { return !isDefaultTenant(id) })
	}
}
