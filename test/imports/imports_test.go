// Package imports checks who imports whom.
package imports

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rule says what the packages of a room may import of this project. The first
// rule whose room matches a package decides. ARCHITECTURE.md shows the same table.
type rule struct {
	// room is a package path below prow/, with its sub-packages.
	room string
	// may lists rooms whose packages it may import, beside its own.
	may []string
	// heavy allows client-go and controller-runtime.
	heavy bool
	// pure allows nothing outside of the standard library and api.
	pure bool
}

var (
	foundation = []string{"api", "internal/secret", "internal/forge/githubapp", "internal/git", "internal/storage", "internal/joblabels"}
	domain     = append([]string{
		"internal/service", "internal/kube", "internal/store", "internal/config", "internal/owners", "internal/prowjob", "internal/pod",
		"internal/inrepo", "internal/forge/github", "internal/forge/gerrit", "internal/joburl", "internal/statusdesc", "internal/wiring", "internal/jobview",
	}, foundation...)
	utilities = []string{"internal/pod/clone", "internal/pod/entry", "internal/pod/upload", "internal/pod/sidecar", "internal/pod/censor", "internal/pod/options", "internal/pod/downward", "internal/pod/cli", "internal/pod/wrapper", "internal/pod/initupload"}
)

var rules = []rule{
	{room: "api", may: nil, heavy: true},
	{room: "cmd/prow", may: []string{"api", "internal"}, heavy: true},
	{room: "cmd", may: append([]string{"internal/service/version"}, append(utilities, foundation...)...)},
	{room: "internal/tide/planner", pure: true},
	{room: "internal/tide/executor", may: []string{"internal/tide/planner"}},
	{room: "internal/tide/sim", may: []string{"internal/tide/planner", "internal/tide/executor"}},
	{room: "internal/pod/clone", may: append(utilities, foundation...)},
	{room: "internal/pod/entry", may: append(utilities, foundation...)},
	{room: "internal/pod/upload", may: append(utilities, foundation...)},
	{room: "internal/pod/sidecar", may: append(utilities, foundation...)},
	{room: "internal/pod/initupload", may: append(utilities, foundation...)},
	{room: "internal/pod/censor", may: append(utilities, foundation...)},
	{room: "internal/pod/cli", may: nil},
	{room: "internal/pod/options", may: []string{"api", "internal/pod/wrapper"}},
	{room: "internal/pod/wrapper", may: []string{"api"}},
	{room: "internal/pod/downward", may: []string{"api"}},
	{room: "internal/joblabels", may: []string{"api"}, heavy: true},
	{room: "internal/secret", may: nil},
	{room: "internal/forge/githubapp", may: nil},
	{room: "internal/service", may: []string{"api", "internal/secret"}, heavy: true},
	{room: "internal/config", may: []string{"api", "internal/joblabels"}, heavy: true},
	{room: "internal/owners", may: []string{"api"}},
	{room: "internal/prowjob", may: []string{"api", "internal/config", "internal/joblabels"}, heavy: true},
	{room: "internal/pod", may: append([]string{"internal/prowjob"}, append(utilities, foundation...)...), heavy: true},
	{room: "internal/forge/local", may: append([]string{"internal/service"}, foundation...)},
	{room: "internal/forge", may: foundation},
	{room: "internal/git", may: []string{"api"}},
	{room: "internal/storage", may: []string{"api"}},
	{room: "internal/kube", may: []string{"api"}, heavy: true},
	{room: "internal/store", may: []string{"api"}},
	{room: "internal/statusdesc", may: nil},
	{room: "internal/inrepo", may: []string{"api", "internal/config", "internal/git", "internal/prowjob"}, heavy: true},
	{room: "internal/plugins/approve/approvers", pure: true},
	{room: "internal/plugins/pages/gen", may: []string{"internal/plugins", "internal/externalplugins"}, heavy: true},
	{room: "internal/plugins/plugintest", may: append([]string{"internal/plugins", "internal/forge/local"}, domain...), heavy: true},
	{room: "internal/plugins", may: append([]string{"internal/plugins"}, domain...), heavy: true},
	{room: "internal/store/storetest", may: []string{"internal/store"}},
	{room: "internal/webhook", may: []string{"api", "internal/secret", "internal/service", "internal/store"}},
	{room: "internal/eventserver", may: append([]string{"internal/plugins", "internal/webhook"}, domain...), heavy: true},
	{room: "internal/externalplugins", may: append([]string{"internal/plugins", "internal/eventserver", "internal/report", "internal/report/github"}, domain...), heavy: true},
	{room: "internal/explainpr", may: append([]string{"internal/plugins"}, domain...), heavy: true},
	{room: "internal/hook", may: append([]string{"internal/plugins", "internal/webhook"}, domain...), heavy: true},
	{room: "internal/jobview", may: []string{"api"}, heavy: true},
	{room: "internal/wiring", may: []string{"api", "internal/config", "internal/kube", "internal/service"}, heavy: true},
	{room: "internal/controller/statusreconciler", may: append([]string{"internal/plugins", "internal/plugins/pluginconfig"}, domain...), heavy: true},
	{room: "internal/controller", may: domain, heavy: true},
	{room: "internal/gitmirror", may: domain, heavy: true},
	{room: "internal/admission", may: domain, heavy: true},
	{room: "internal/webhookserver", may: append([]string{"internal/admission"}, domain...), heavy: true},
	{room: "internal/exporter", may: domain, heavy: true},
	{room: "internal/tot", may: domain, heavy: true},
	{room: "internal/mkpj", may: domain, heavy: true},
	{room: "internal/mkpod", may: domain, heavy: true},
	{room: "internal/report", may: domain, heavy: true},
	{room: "internal/tide", may: domain, heavy: true},
	{room: "internal/deck/history", pure: true},
	{room: "internal/deck/testgrid", may: []string{"internal/junit"}},
	{room: "internal/deck/prstatus", may: []string{"api", "internal/config"}, heavy: true},
	{room: "internal/deck/loglines", pure: true},
	{room: "internal/junit", pure: true},
	{room: "internal/deck/ansi", pure: true},
	{room: "internal/deck/lens", may: []string{"api", "internal/junit", "internal/deck/ansi", "internal/deck/loglines"}},
	{room: "internal/deck/spyglass", may: []string{"api", "internal/deck/lens"}},
	{room: "internal/deck/seal", may: nil},
	{room: "internal/deck/csrf", may: []string{"internal/deck/seal"}},
	{room: "internal/deck/signin", may: []string{"internal/deck/seal", "internal/forge/github"}, heavy: true},
	{room: "internal/deck/rerun", may: []string{"api", "internal/config", "internal/prowjob"}, heavy: true},
	{room: "internal/deck", may: append([]string{"internal/plugins", "internal/junit"}, domain...), heavy: true},
	{room: "internal/checkconfig", may: append([]string{"internal/plugins/pluginconfig"}, domain...), heavy: true},
	{room: "internal/doctor", may: append([]string{"internal/plugins/pluginconfig", "internal/webhook"}, domain...), heavy: true},
	{room: "internal/ghproxy", may: append([]string{"internal/forge/httpcache"}, domain...), heavy: true},
	{room: "internal/configtool", may: domain, heavy: true},
	{room: "internal/reference", may: append([]string{"internal/plugins/pluginconfig"}, domain...), heavy: true},
	{room: "examples", may: nil},
	{room: "test", may: []string{"api", "internal", "cmd"}, heavy: true},
	{room: "standalone", may: []string{"api", "internal", "standalone"}, heavy: true},
}

// pluginFrameworks are the packages below internal/plugins that are no plugin.
var pluginFrameworks = []string{"internal/plugins", "internal/plugins/pluginconfig", "internal/plugins/plugintest", "internal/plugins/all", "internal/plugins/pages", "internal/plugins/pages/gen"}

type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T, dir string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list in %s: %v", dir, err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func within(path, room string) bool {
	return path == room || strings.HasPrefix(path, room+"/")
}

func withinAny(path string, rooms []string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return within(path, r) })
}

// violation explains why from may not import to; "" if it may.
func violation(from, to string) string {
	i := slices.IndexFunc(rules, func(r rule) bool { return within(from, r.room) })
	if i < 0 {
		return "no rule covers " + from + ": add its room to the table"
	}
	r := rules[i]
	target, own := strings.CutPrefix(to, "prow/")
	if !own {
		switch {
		case r.pure && strings.Contains(to, "."):
			return r.room + " is pure: it may import the standard library and api only"
		case !r.heavy && (strings.HasPrefix(to, "k8s.io/client-go") || strings.HasPrefix(to, "sigs.k8s.io/controller-runtime")):
			return r.room + " must not link Kubernetes clients"
		}
		return ""
	}
	if r.pure {
		if within(target, "api") || within(target, r.room) {
			return ""
		}
		return r.room + " is pure: it may import the standard library and api only"
	}
	isPlugin := func(p string) bool {
		return within(p, "internal/plugins") && !withinAny(p, pluginFrameworks[1:]) && p != "internal/plugins"
	}
	if within(from, "internal/deck") && isPlugin(target) && target != "internal/plugins/help" {
		return "deck shows what plugins do, and runs none"
	}
	if isPlugin(from) && isPlugin(target) && !within(target, from) {
		return "a plugin never imports another plugin"
	}
	if within(target, r.room) || withinAny(target, r.may) {
		return ""
	}
	return r.room + " may import only " + strings.Join(r.may, ", ")
}

func TestRoomsImportOnlyWhatTheTableAllows(t *testing.T) {
	for _, dir := range []string{"../..", "../../standalone"} {
		for _, p := range packages(t, filepath.FromSlash(dir)) {
			from := strings.TrimPrefix(p.ImportPath, "prow/")
			for _, to := range p.Imports {
				if why := violation(from, to); why != "" {
					t.Errorf("%s imports %s: %s", from, to, why)
				}
			}
		}
	}
}

func TestTheTableRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ from, to string }{
		"a plugin that imports another":              {"internal/plugins/lgtm", "prow/internal/plugins/hold"},
		"configuration that imports a forge":         {"internal/config", "prow/internal/forge/github"},
		"a pod utility that links client-go":         {"cmd/sidecar", "k8s.io/client-go/rest"},
		"a pod utility that reads the configuration": {"internal/pod/sidecar", "prow/internal/config"},
		"a planner that reads anything":              {"internal/tide/planner", "k8s.io/api/core/v1"},
		"a controller that imports deck":             {"internal/controller/plank", "prow/internal/deck"},
		"deck that runs plugins":                     {"internal/deck", "prow/internal/plugins/lgtm"},
		"a room nobody has described":                {"internal/surprise", "prow/api/prowjobs/v1"},
	} {
		if violation(tc.from, tc.to) == "" {
			t.Errorf("%s is allowed", name)
		}
	}
	for name, tc := range map[string]struct{ from, to string }{
		"a plugin that reads its configuration": {"internal/plugins/lgtm", "prow/internal/plugins/pluginconfig"},
		"tide that plans":                       {"internal/tide", "prow/internal/tide/planner"},
	} {
		if why := violation(tc.from, tc.to); why != "" {
			t.Errorf("%s is refused: %s", name, why)
		}
	}
}
