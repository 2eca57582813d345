package checkconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
)

// places is a set of repositories, also of those nobody has named: whole orgs
// but for some of their repositories, and single repositories. It is kept
// normal: no single repository lies in one of the whole orgs.
type places struct {
	// orgs maps an org to the "org/repo"s of it that are left out.
	orgs map[string]sets.Set[string]
	// repos are single "org/repo"s.
	repos sets.Set[string]
}

// newPlaces makes a set. A repository that is listed counts, even if its org
// leaves it out.
func newPlaces(orgs map[string]sets.Set[string], repos sets.Set[string]) places {
	p := places{orgs: make(map[string]sets.Set[string], len(orgs)), repos: sets.New[string]()}
	for org, left := range orgs {
		p.orgs[org] = left.Difference(repos)
	}
	for repo := range repos {
		if _, whole := p.orgs[orgOf(repo)]; !whole {
			p.repos.Insert(repo)
		}
	}
	return p
}

// placesOf makes a set of keys that are orgs or "org/repo"s.
func placesOf(keys ...string) places {
	orgs, repos := map[string]sets.Set[string]{}, sets.New[string]()
	for _, key := range keys {
		if strings.Contains(key, "/") {
			repos.Insert(key)
		} else {
			orgs[key] = sets.New[string]()
		}
	}
	return newPlaces(orgs, repos)
}

func orgOf(repo string) string {
	org, _, _ := strings.Cut(repo, "/")
	return org
}

// has tells whether a repository ("org/repo") belongs to the set.
func (p places) has(repo string) bool {
	if left, whole := p.orgs[orgOf(repo)]; whole {
		return !left.Has(repo)
	}
	return p.repos.Has(repo)
}

// empty tells whether the set has no repository.
func (p places) empty() bool { return len(p.orgs) == 0 && len(p.repos) == 0 }

// inOrg are the single repositories of an org.
func (p places) inOrg(org string) sets.Set[string] {
	out := sets.New[string]()
	for repo := range p.repos {
		if orgOf(repo) == org {
			out.Insert(repo)
		}
	}
	return out
}

// minus returns what is in p but not in q.
func (p places) minus(q places) places {
	orgs, repos := map[string]sets.Set[string]{}, sets.New[string]()
	for org, left := range p.orgs {
		if leftByQ, whole := q.orgs[org]; whole {
			repos = repos.Union(leftByQ.Difference(left))
		} else {
			orgs[org] = left.Union(q.inOrg(org))
		}
	}
	for repo := range p.repos {
		if !q.has(repo) {
			repos.Insert(repo)
		}
	}
	return newPlaces(orgs, repos)
}

// and returns what is in both.
func (p places) and(q places) places {
	orgs, repos := map[string]sets.Set[string]{}, sets.New[string]()
	for org, left := range p.orgs {
		if leftByQ, whole := q.orgs[org]; whole {
			orgs[org] = left.Union(leftByQ)
		}
	}
	for repo := range p.repos {
		if q.has(repo) {
			repos.Insert(repo)
		}
	}
	for repo := range q.repos {
		if p.has(repo) {
			repos.Insert(repo)
		}
	}
	return newPlaces(orgs, repos)
}

// or returns what is in one of them.
func (p places) or(q places) places {
	orgs := map[string]sets.Set[string]{}
	for org, left := range p.orgs {
		if leftByQ, whole := q.orgs[org]; whole {
			left = left.Intersection(leftByQ)
		}
		orgs[org] = left
	}
	for org, left := range q.orgs {
		if _, whole := p.orgs[org]; !whole {
			orgs[org] = left
		}
	}
	return newPlaces(orgs, p.repos.Union(q.repos))
}

// place is a whole org, but for some repositories, or one repository.
type place struct {
	// name is an org or "org/repo".
	name string
	// without are the "org/repo"s of the org that are left out.
	without []string
}

func (p place) String() string {
	switch n := len(p.without); {
	case n == 0:
		return p.name
	case n > 5:
		return fmt.Sprintf("%s (without %s and %d more)", p.name, strings.Join(p.without[:4], ", "), n-4)
	}
	return fmt.Sprintf("%s (without %s)", p.name, strings.Join(p.without, ", "))
}

// list returns the places in lexical order.
func (p places) list() []place {
	var out []place
	for _, org := range slices.Sorted(maps.Keys(p.orgs)) {
		out = append(out, place{name: org, without: sets.List(p.orgs[org])})
	}
	for _, repo := range sets.List(p.repos) {
		out = append(out, place{name: repo})
	}
	slices.SortFunc(out, func(a, b place) int { return strings.Compare(a.name, b.name) })
	return out
}
