package blockade

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func TestDecision(t *testing.T) {
	entry := func(explanation, block, except string) pluginconfig.Blockade {
		return pluginconfig.Blockade{Repos: []string{"o"}, BlockRegexps: strings.Fields(block), ExceptionRegexps: strings.Fields(except), Explanation: explanation}
	}
	for name, tc := range map[string]struct {
		entries []pluginconfig.Blockade
		files   string
		want    string
	}{
		"nothing is blocked":              {[]pluginconfig.Blockade{entry("", "^docs/", "")}, "x a/docs/y", ""},
		"a path that matches":             {[]pluginconfig.Blockade{entry("frozen", "^docs/ ^lib", "")}, "docs/a library x", "frozen: docs/a library"},
		"unless it is excepted":           {[]pluginconfig.Blockade{entry("frozen", "^docs/", `\.md$`)}, "docs/a docs/b.md", "frozen: docs/a"},
		"the default explanation":         {[]pluginconfig.Blockade{entry("", "x", "")}, "x", defaultExplanation + ": x"},
		"expressions that are not valid":  {[]pluginconfig.Blockade{entry("frozen", "( x", "(")}, "x (", "frozen: x"},
		"an entry without valid ones":     {[]pluginconfig.Blockade{entry("frozen", "(", "")}, "x (", ""},
		"two reasons":                     {[]pluginconfig.Blockade{entry("one", "x", ""), entry("two", "y", "")}, "x y xy", "one: x xy; two: xy y"},
		"one explanation of two entries":  {[]pluginconfig.Blockade{entry("one", "x", ""), entry("one", "y", "")}, "y xy x", "one: x xy y"},
		"entries of others do not matter": {[]pluginconfig.Blockade{{Repos: []string{"o/other"}, BlockRegexps: []string{"."}}}, "x", ""},
	} {
		var changes []github.PullRequestChange
		for _, file := range strings.Fields(tc.files) {
			changes = append(changes, github.PullRequestChange{Filename: file})
		}
		var says []string
		for _, r := range decide(rulesFor(tc.entries, "o", "r", "main"), changes) {
			says = append(says, r.explanation+": "+strings.Join(r.files, " "))
		}
		if got := strings.Join(says, "; "); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	moved := []github.PullRequestChange{{Filename: "b", PreviousFilename: "docs/a"}}
	if decide(rulesFor([]pluginconfig.Blockade{entry("", "^docs/", "")}, "o", "r", "main"), moved) == nil {
		t.Error("moving a file out of a protected place changes it")
	}
}

// counting counts requests.
type counting struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func TestProbe36_Blockade(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	w := plugintest.New(t, plugintest.Options{
		Plugin:    New(),
		Plugins:   `blockades: [{repos: [o/r], branchregexp: ^main$, blockregexps: [^docs/], explanation: The docs are frozen.}]`,
		Transport: func(next http.RoundTripper) http.RoundTripper { return counting{next, &requests} },
	})
	w.Push("release", nil)
	w.Push("change", map[string]string{"docs/x": "y"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, plugins.LabelBlockedPaths)
	w.WantComments(n, "The docs are frozen.\n\n- [`docs/x`](http://")
	w.HandleAgain("pull_request/opened")
	w.Push("change", map[string]string{"docs/y": "y"})
	w.HandleAgain("pull_request/synchronize")
	w.WantComments(n, marker)
	w.Push("change", map[string]string{"docs/x": "", "docs/y": "", "x": "y"})
	w.WantLabels(n, "")
	w.WantComments(n)

	w.Push("change", map[string]string{"docs/x": "y"})
	w.WantLabels(n, plugins.LabelBlockedPaths)
	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("release")}})
	w.WantLabels(n, "")
	w.WantComments(n)
	before := requests.Load()
	w.Push("change", map[string]string{"docs/x": "z"})
	if more := requests.Load() - before; more != 0 {
		t.Errorf("%d requests where no entry applies", more)
	}
}
