package deck

import (
	"slices"
	"strings"
	"sync"
	"unique"

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
	sh := shapeOf(pj)
	return v.shows(sh.tenant, isHiddenShape(deck, &sh))
}

// shows tells whether runs of a tenant are shown that are hidden, or not.
func (v visibility) shows(tenant string, hidden bool) bool {
	switch {
	case len(v.tenants) > 0:
		return slices.Contains(v.tenants, tenant)
	case hidden:
		return v.showsHidden()
	default:
		return !v.hiddenOnly && isDefaultTenant(tenant)
	}
}

func isDefaultTenant(id string) bool { return id == "" || id == v1.GlobalDefaultTenantID }

func isHiddenShape(deck *config.Deck, sh *shape) bool {
	hidden := sh.hidden
	sh.each(func(org, repo string) bool {
		hidden = hidden || deck.IsHidden(org, repo)
		return !hidden
	})
	return hidden
}

// sight decides who sees runs, as one configuration says it. What it has decided about a
// shape it remembers.
type sight struct {
	cfg     *config.Config
	visible visibility

	mu      sync.Mutex
	decided map[unique.Handle[shape]]bool
}

// maxDecided bounds what a sight remembers. Shapes that are no longer used stay until then.
const maxDecided = 50_000

// of tells whether runs of a shape are shown.
func (s *sight) of(h unique.Handle[shape]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	shown, ok := s.decided[h]
	if !ok {
		if len(s.decided) >= maxDecided {
			clear(s.decided)
		}
		sh := h.Value()
		shown = s.decide(&sh)
		s.decided[h] = shown
	}
	return shown
}

func (s *sight) decide(sh *shape) bool {
	tenant, hidden := sh.tenant, isHiddenShape(&s.cfg.Deck, sh)
	word, guessed := sh.guessed()
	if !guessed {
		return s.visible.shows(tenant, hidden)
	}
	// Nobody knows what the ProwJob said: the configuration says it about jobs of its
	// name, and its path about the repository.
	if s.visible.showHidden {
		return true
	}
	for _, spec := range specsNamed(s.cfg, sh.job) {
		configured := shapeOf(&v1.ProwJob{Spec: spec})
		concealed := isHiddenShape(&s.cfg.Deck, &configured)
		if !s.visible.shows(configured.tenant, concealed) {
			return false
		}
		tenant, hidden = configured.tenant, hidden || concealed
	}
	for _, name := range s.cfg.Deck.HiddenRepos {
		if name = strings.ReplaceAll(name, "/", "_"); word == name || strings.HasPrefix(word, name+"_") {
			hidden = true
		}
	}
	return s.visible.shows(tenant, hidden)
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
