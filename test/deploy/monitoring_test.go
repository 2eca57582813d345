package deploy

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	promql "github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// literals are the texts in the sources of the components, where the names of all metrics
// and labels stand.
func literals(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	files := token.NewFileSet()
	must(t, filepath.WalkDir("../../internal", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					out[text] = true
				}
			}
			return true
		})
		return nil
	}))
	return out
}

// ofOthersMetrics are what Prometheus and its client library bring.
var ofOthersMetrics = []string{"up", "process_start_time_seconds", "process_resident_memory_bytes"}

// served are the components whose requests are measured, and the ends of the names.
var (
	served      = regexp.MustCompile(`^(deck|hook|tide|tot|admission|webhook_server)(_http_request_duration_seconds|_http_response_size_bytes|_error_rate)$`)
	partOfMany  = regexp.MustCompile(`_(bucket|sum|count)$`)
	ofTheTarget = []string{"job", "instance", "namespace", "pod", "le", "__name__"}
)

// exists tells whether a component has a metric.
func exists(metric string, known map[string]bool) bool {
	if slices.Contains(ofOthersMetrics, metric) || known[metric] {
		return true
	}
	whole := partOfMany.ReplaceAllString(metric, "")
	return known[whole] || served.MatchString(whole) && known[served.FindStringSubmatch(whole)[2]]
}

// problemsOf are what is wrong with an expression.
func problemsOf(expr string, known map[string]bool) (out []string) {
	parsed, err := promql.ParseExpr(expr)
	if err != nil {
		return []string{err.Error()}
	}
	label := func(name string) {
		if !slices.Contains(ofTheTarget, name) && !known[name] {
			out = append(out, "no metric has the label "+name)
		}
	}
	promql.Inspect(parsed, func(node promql.Node, _ []promql.Node) error {
		switch n := node.(type) {
		case *promql.VectorSelector:
			if !exists(n.Name, known) {
				out = append(out, "there is no metric "+n.Name)
			}
			for _, m := range n.LabelMatchers {
				label(m.Name)
				if m.Type == labels.MatchEqual && !slices.Contains(ofTheTarget, m.Name) && !known[m.Value] {
					out = append(out, "the label "+m.Name+" is never "+m.Value)
				}
			}
		case *promql.AggregateExpr:
			for _, name := range n.Grouping {
				label(name)
			}
		}
		return nil
	})
	return out
}

type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

func TestAlertsAreAboutMetricsThatExist(t *testing.T) {
	known := literals(t)
	raw, err := os.ReadFile(filepath.Join(root, "monitoring/rules.yaml"))
	must(t, err)
	var rules ruleFile
	must(t, yaml.UnmarshalStrict(raw, &rules))
	runbooks, err := os.ReadFile("../../docs/runbooks.md")
	must(t, err)
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(runbooks), -1) {
		sections[m[1]] = true
	}
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			for _, problem := range problemsOf(r.Expr, known) {
				t.Errorf("%s: %s", r.Alert, problem)
			}
			if r.Annotations["runbook_url"] != "docs/runbooks.md#"+strings.ToLower(r.Alert) || !sections[r.Alert] {
				t.Errorf("%s has no section in docs/runbooks.md, or does not lead there", r.Alert)
			}
			if r.Annotations["summary"] == "" || !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
				t.Errorf("%s lacks a summary or a severity", r.Alert)
			}
			delete(sections, r.Alert)
		}
	}
	if len(sections) > 0 {
		t.Errorf("docs/runbooks.md has sections of alerts that there are not: %v", sortedKeys(sections))
	}
	// Names in the text of the runbooks, and in the table of docs/deploy.md.
	for _, path := range []string{"../../docs/runbooks.md", "../../docs/deploy.md"} {
		text, err := os.ReadFile(path)
		must(t, err)
		for _, m := range regexp.MustCompile("`((?:prow|tide|plank|crier|sinker|horologium|github|deck|ghcache|prowjob)s?_[a-z_]+)[`{]").FindAllStringSubmatch(string(text), -1) {
			if !exists(m[1], known) {
				t.Errorf("%s: %s does not exist", path, m[1])
			}
		}
	}
}

func TestDashboardsAreAboutMetricsThatExist(t *testing.T) {
	known := literals(t)
	files, err := filepath.Glob(filepath.Join(root, "components/monitoring/dashboards/*.json"))
	must(t, err)
	if len(files) < 4 {
		t.Fatalf("only %d dashboards", len(files))
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		must(t, err)
		var board struct {
			UID, Title string
			Panels     []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		must(t, json.Unmarshal(raw, &board))
		if board.UID == "" || board.Title == "" || len(board.Panels) == 0 {
			t.Errorf("%s is empty", path)
		}
		for _, p := range board.Panels {
			for _, target := range p.Targets {
				for _, problem := range problemsOf(target.Expr, known) {
					t.Errorf("%s: %s: %s", filepath.Base(path), p.Title, problem)
				}
			}
		}
	}
}

func TestWhatDoesNotExistIsFound(t *testing.T) {
	known := literals(t)
	for expr, want := range map[string]string{
		`sum(prow_no_such_metric)`:                         "there is no metric",
		`sum by (colour) (prowjobs)`:                       "the label colour",
		`prow_webhook_deliveries{state="lost-forever"}`:    "is never",
		`sum(prowjobs`:                                     "parse error",
		`rate(deck_http_request_duration_seconds_sum[5m])`: "",
	} {
		got := strings.Join(problemsOf(expr, known), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// The operator's rules and the copies of the chart are those of monitoring/.
func TestRulesAndDashboardsAreTheSameEverywhere(t *testing.T) {
	read := func(path string) []byte {
		raw, err := os.ReadFile(filepath.Join(root, path))
		must(t, err)
		return raw
	}
	var rules map[string]any
	must(t, yaml.Unmarshal(read("monitoring/rules.yaml"), &rules))
	var custom struct{ Spec map[string]any }
	must(t, yaml.Unmarshal(read("components/monitoring/rules.yaml"), &custom))
	if encoded(rules) != encoded(custom.Spec) {
		t.Error("components/monitoring/rules.yaml has other rules than monitoring/rules.yaml")
	}
	if string(read("monitoring/rules.yaml")) != string(read("helm/prow/files/rules.yaml")) {
		t.Error("helm/prow/files/rules.yaml is another one")
	}
}
