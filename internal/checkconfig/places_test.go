package checkconfig

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"pgregory.net/rapid"
)

func TestPlaces(t *testing.T) {
	whole := func(org string, without ...string) places {
		return newPlaces(map[string]sets.Set[string]{org: sets.New(without...)}, nil)
	}
	for name, tc := range map[string]struct {
		got  places
		want []string
	}{
		"taking a repository from an org leaves it out":         {whole("o").minus(placesOf("o/a")), []string{"o (without o/a)"}},
		"taking an org from an org leaves nothing":              {whole("o").minus(placesOf("o")), nil},
		"what an org leaves out is not taken with it":           {whole("o").minus(whole("o", "o/a")), []string{"o/a"}},
		"an org takes its repositories":                         {placesOf("o/a", "p/b").minus(placesOf("o")), []string{"p/b"}},
		"but not those it leaves out":                           {placesOf("o/a").minus(whole("o", "o/a")), []string{"o/a"}},
		"two orgs share what neither leaves out":                {whole("o", "o/a").and(whole("o", "o/b")), []string{"o (without o/a, o/b)"}},
		"an org and a repository share the repository":          {whole("o").and(placesOf("o/a", "p/b")), []string{"o/a"}},
		"unless the org leaves it out":                          {whole("o", "o/a").and(placesOf("o/a")), nil},
		"together, orgs leave out what both leave out":          {whole("o", "o/a", "o/b").or(whole("o", "o/b", "o/c")), []string{"o (without o/b)"}},
		"and what is not listed":                                {whole("o", "o/a").or(placesOf("o/a")), []string{"o"}},
		"a repository of an org that is there need not be told": {whole("o").or(placesOf("o/a", "p/b")), []string{"o", "p/b"}},
		"a repository that is listed counts":                    {newPlaces(map[string]sets.Set[string]{"o": sets.New("o/a")}, sets.New("o/a")), []string{"o"}},
	} {
		var got []string
		for _, p := range tc.got.list() {
			got = append(got, p.String())
		}
		if !sets.New(got...).Equal(sets.New(tc.want...)) || tc.got.empty() != (len(tc.want) == 0) {
			t.Errorf("%s: found %q, want %q", name, got, tc.want)
		}
	}
	if got := (place{name: "o", without: []string{"1", "2", "3", "4", "5", "6"}}).String(); got != "o (without 1, 2, 3, 4 and 2 more)" {
		t.Error(got)
	}
}

// universe has repositories that sets can name, and one of each org that none
// names: it stands for all others.
var universe = []string{"o/a", "o/b", "o/other", "p/a", "p/b", "p/other", "q/other"}

func drawPlaces(t *rapid.T, name string) places {
	orgs := map[string]sets.Set[string]{}
	for _, org := range []string{"o", "p"} {
		if rapid.Bool().Draw(t, name+" has "+org) {
			orgs[org] = sets.New[string]()
			for _, repo := range []string{"/a", "/b"} {
				if rapid.Bool().Draw(t, name+" leaves out "+org+repo) {
					orgs[org].Insert(org + repo)
				}
			}
		}
	}
	repos := sets.New[string]()
	for _, repo := range []string{"o/a", "o/b", "p/a", "p/b"} {
		if rapid.Bool().Draw(t, name+" lists "+repo) {
			repos.Insert(repo)
		}
	}
	return newPlaces(orgs, repos)
}

func TestPlacesAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := drawPlaces(t, "p"), drawPlaces(t, "q")
		for _, repo := range universe {
			inP, inQ := p.has(repo), q.has(repo)
			for op, tc := range map[string]struct {
				set  places
				want bool
			}{"minus": {p.minus(q), inP && !inQ}, "and": {p.and(q), inP && inQ}, "or": {p.or(q), inP || inQ}} {
				if got := tc.set.has(repo); got != tc.want {
					t.Errorf("%v %s %v: has %s is %v", p, op, q, repo, got)
				}
				for single := range tc.set.repos {
					if _, whole := tc.set.orgs[orgOf(single)]; whole {
						t.Errorf("%v %s %v is not normal: %v", p, op, q, tc.set)
					}
				}
			}
		}
	})
}
