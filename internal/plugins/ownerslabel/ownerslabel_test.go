package ownerslabel

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"prow/internal/forge/github"
	"prow/internal/plugins/plugintest"
)

func TestDecision(t *testing.T) {
	labels := func(names string) (out []github.Label) {
		for _, name := range strings.Fields(names) {
			out = append(out, github.Label{Name: name})
		}
		return out
	}
	for name, tc := range map[string]struct{ wanted, onPull, inRepo, add, missing string }{
		"what is not there is added":             {"a b", "b", "a b c", "a", ""},
		"what the repository lacks is told":      {"a b", "", "a", "a", "b"},
		"the repository's spelling counts":       {"A", "", "a", "", "A"},
		"what is there in another case is there": {"A", "a", "a", "", ""},
	} {
		add, missing := decide(strings.Fields(tc.wanted), labels(tc.onPull), labels(tc.inRepo))
		if !slices.Equal(add, strings.Fields(tc.add)) || !slices.Equal(missing, strings.Fields(tc.missing)) {
			t.Errorf("%s: add %q, missing %q", name, add, missing)
		}
	}
}

// paths notes the paths of requests.
type paths struct {
	http.RoundTripper
	mu  sync.Mutex
	all []string
}

func (p *paths) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.all = append(p.all, r.Method+" "+r.URL.Path)
	p.mu.Unlock()
	return p.RoundTripper.RoundTrip(r)
}

func TestLabelsOfFiles(t *testing.T) {
	t.Parallel()
	seen := &paths{}
	w := plugintest.New(t, plugintest.Options{
		Plugin: New(),
		Files: map[string]string{
			"OWNERS":   "approvers: [alice]\nlabels: [area/root]\n",
			"a/OWNERS": "labels: [area/a, lgtm, gone]\noptions: {no_parent_owners: true}\n",
			"b/OWNERS": "labels: [area/b]\n",
		},
		Transport: func(next http.RoundTripper) http.RoundTripper { seen.RoundTripper = next; return seen },
	})
	w.RepoLabels("area/root", "area/a", "area/b", "lgtm")
	w.Push("change", map[string]string{"a/x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.WantLabels(n, "area/a")
	w.Push("change", map[string]string{"b/x": "y", "a/x": ""})
	w.WantLabels(n, "area/a,area/b,area/root")
	seen.all = nil
	w.Push("change", map[string]string{"b/y": "y"})
	for _, path := range seen.all {
		if strings.HasPrefix(path, "POST") || strings.Contains(path, "collaborators") || strings.HasSuffix(path, "/r/labels") {
			t.Errorf("%s: nothing is to be done", path)
		}
	}
}

func TestARepositoryWithoutLabelsCostsALook(t *testing.T) {
	t.Parallel()
	seen := &paths{}
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Transport: func(next http.RoundTripper) http.RoundTripper { seen.RoundTripper = next; return seen }})
	w.Push("change", map[string]string{"a/x": "y"})
	seen.all = nil
	w.Pull("eve", "change", "T", "")
	if len(seen.all) != 1 || !strings.HasSuffix(seen.all[0], "/git/refs/heads/main") && !strings.HasSuffix(seen.all[0], "/git/ref/heads/main") {
		t.Errorf("requests %q, want one for the head of the branch", seen.all)
	}
}
