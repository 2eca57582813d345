package checkconfig

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"prow/internal/forge/github"
)

// twoFindings are files in which long-job-names and needs-ok-to-test find something.
var twoFindings = map[string]string{"config.yaml": `
decorate_all_jobs: false
tide: {queries: [{repos: [org/repo], labels: [lgtm], missingLabels: [needs-ok-to-test]}]}
periodics:
- name: ` + strings.Repeat("a", 64) + `
  interval: 1h
  agent: kubernetes
  spec: {containers: [{image: x}]}
`}

func has(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s does not contain %q:\n%s", what, part, text)
		}
	}
}

func TestProbe1AnEmptyMainFilePasses(t *testing.T) {
	lay(t, map[string]string{"config.yaml": ""})
	r := run(t, "--config-path=config.yaml", "--strict")
	if r.status != 0 || r.stdout != "The configuration passes all checks.\n" || r.stderr != "" {
		t.Errorf("found %+v", r)
	}
}

func TestProbe2PathsThatDoNotFit(t *testing.T) {
	lay(t, map[string]string{"config.yaml": "", "dir/x": ""})
	for _, args := range [][]string{{"--config-path=dir"}, {"--config-path=config.yaml", "--job-config-path=missing"}, {"--config-path=missing.yaml"},
		{"--config-path=config.yaml", "--plugin-config=missing.yaml"}} {
		if r := run(t, args...); r.status != 1 {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestProbe3GzipIsReadByEveryCheck(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte("lolNotARealField: 1\ntide: {queries: [{repos: [o/r], labels: [lgtm], missingLabels: [needs-ok-to-test]}]}\n"))
	_ = w.Close()
	lay(t, map[string]string{"config.yaml": zipped.String()})
	r := run(t, "--config-path=config.yaml")
	has(t, "the report", r.stdout, "config.yaml:1:1: lolNotARealField", "config.yaml:2:18: tide.queries[0]")
}

func TestProbe7AnUnknownFieldIsToleratedUnlessItIsLookedFor(t *testing.T) {
	lay(t, map[string]string{"config.yaml": "lolNotARealField: 1", "fine.yaml": "prow_ignored: {lolNotARealField: 1}"})
	if r := run(t, "--config-path=config.yaml", "--exclude-warning=unknown-fields", "--strict"); r.status != 0 {
		t.Errorf("the file does not load: %+v", r)
	}
	r := run(t, "--config-path=config.yaml", "--warnings=unknown-fields-all", "--strict")
	if r.status != 1 {
		t.Errorf("found %+v", r)
	}
	has(t, "the report", r.stdout, "config.yaml:1:1: lolNotARealField")
	if r := run(t, "--config-path=fine.yaml", "--warnings=unknown-fields-all", "--strict"); r.status != 0 {
		t.Errorf("under prow_ignored it is fine, found %+v", r)
	}
}

func TestProbe8ASupplementalFileWithMoreThanItMayHoldIsFatal(t *testing.T) {
	lay(t, map[string]string{"config.yaml": "", "s/x_prowconfig.yaml": "plank: {max_goroutines: 1}"})
	r := run(t, "--config-path=config.yaml", "--supplemental-prow-config-dir=s")
	if r.status != 1 {
		t.Errorf("found %+v", r)
	}
	has(t, "the error", r.stderr, "branch-protection", "slack_reporter_configs", "tide.merge_method", "tide.queries")
}

func TestJobsInASupplementalFileMeanNothing(t *testing.T) {
	lay(t, map[string]string{"config.yaml": "", "s/x_prowconfig.yaml": "periodics: []"})
	r := run(t, "--config-path=config.yaml", "--supplemental-prow-config-dir=s", "--warnings=unknown-fields-all", "--strict")
	if r.status != 1 {
		t.Errorf("found %+v", r)
	}
	has(t, "the report", r.stdout, "s/x_prowconfig.yaml:1:1: periodics")
}

func TestProbe34ARequiredContextOfAConditionalJobIsFound(t *testing.T) {
	lay(t, map[string]string{"config.yaml": `
tide: {context_options: {required-contexts: [c]}}
in_repo_config: {enabled: {"*": true}}
presubmits:
  org/repo:
  - {name: c, run_if_changed: x, spec: {containers: [{image: x}]}}
`})
	r := run(t, "--config-path=config.yaml", "--warnings=tide-context-policy", "--strict")
	if r.status != 1 {
		t.Errorf("found %+v", r)
	}
	has(t, "the report", r.stdout, "org/repo, branch master", `["c"]`)
}

func TestProbe40ExitStatus(t *testing.T) {
	lay(t, twoFindings)
	for name, tc := range map[string]struct {
		args []string
		want int
		says string
	}{
		"without --config-path":                           {nil, 1, "--config-path is required"},
		"an unknown warning, and the names of all":        {[]string{"--config-path=config.yaml", "--warnings=nope"}, 1, "validate-config-updater-acls"},
		"an unknown warning to leave out":                 {[]string{"--config-path=config.yaml", "--exclude-warning=nope"}, 0, "nope: there is no such check"},
		"findings":                                        {[]string{"--config-path=config.yaml"}, 0, ""},
		"findings that count":                             {[]string{"--config-path=config.yaml", "--strict"}, 1, "3 warnings, and --strict is given"},
		"a path of .prow.yaml without repository":         {[]string{"--config-path=config.yaml", "--prow-yaml-path=x"}, 1, "--prow-yaml-path needs --prow-yaml-repo-name"},
		"a flag that does not exist":                      {[]string{"--nope"}, 2, "unknown flag"},
		"a flag with one dash":                            {[]string{"-config-path=config.yaml"}, 0, ""},
		"a job path without a configuration":              {[]string{"--job-config-path=jobs"}, 1, "--config-path"},
		"a bad endpoint":                                  {[]string{"--config-path=config.yaml", "--github-endpoint=nope"}, 1, "--github-endpoint=nope"},
		"half an app":                                     {[]string{"--config-path=config.yaml", "--github-app-id=1"}, 1, "go together"},
		"a bad throttle":                                  {[]string{"--config-path=config.yaml", "--github-throttle-org=o:1"}, 1, "is not in org:hourlyTokens:burst format"},
		"a throttle that is no number":                    {[]string{"--config-path=config.yaml", "--github-throttle-org=o:1:-1"}, 1, "burst must be > 0"},
		"an unknown output":                               {[]string{"--config-path=config.yaml", "--output=xml"}, 1, "expected text or json"},
		"the older spelling":                              {[]string{"--config-path=config.yaml", "--warnings=validate-supplemental-prow-config-hirarchy"}, 0, ""},
		"owners without a token":                          {[]string{"--config-path=config.yaml", "--plugin-config=plugins.yaml", "--warnings=verify-owners-presence"}, 1, "--github-token-path"},
		"an app that is not there":                        {[]string{"--config-path=config.yaml", "--warnings=validate-github-app-installation"}, 1, "needs --github-app-id"},
		"flags of other components":                       {[]string{"--config-path=config.yaml", "--gcs-credentials-file=x", "--moonraker-address=y", "--in-repo-config-cache-size=5"}, 0, ""},
		"a check that needs the plugins and has them not": {[]string{"--config-path=config.yaml", "--warnings=validate-label", "--strict"}, 0, "needs --plugin-config"},
		"a plugin that does not exist":                    {[]string{"--config-path=config.yaml", "--plugin-config=plugins.yaml"}, 1, `there is no plugin "nope"`},
	} {
		t.Run(name, func(t *testing.T) {
			plugins := "plugins: {org: {plugins: [approve]}}"
			if strings.Contains(name, "does not exist") {
				plugins = "plugins: {org: {plugins: [nope]}}"
			}
			if err := os.WriteFile("plugins.yaml", []byte(plugins), 0o600); err != nil {
				t.Fatal(err)
			}
			r := run(t, tc.args...)
			if r.status != tc.want {
				t.Errorf("exit status %d, want %d: %s%s", r.status, tc.want, r.stdout, r.stderr)
			}
			has(t, "standard error", r.stderr, tc.says)
		})
	}
}

func TestProbeTransferIssueIsAcceptedWithANotice(t *testing.T) {
	lay(t, map[string]string{"config.yaml": "", "plugins.yaml": "plugins: {org: {plugins: [transfer-issue]}}"})
	r := run(t, "--config-path=config.yaml", "--plugin-config=plugins.yaml", "--strict")
	if r.status != 0 {
		t.Errorf("found %+v", r)
	}
	has(t, "standard error", r.stderr, "note: plugins.yaml:1:27", "issue-management")
}

func TestWhichChecksRun(t *testing.T) {
	all := func(sets ...set) []string {
		var out []string
		for _, c := range checks {
			if slices.Contains(sets, c.set) {
				out = append(out, c.name)
			}
		}
		return out
	}
	minus := func(list []string, less ...string) []string {
		return slices.DeleteFunc(list, func(n string) bool { return slices.Contains(less, n) })
	}
	for name, tc := range map[string]struct {
		o    Options
		want []string
	}{
		"the default ones":             {Options{}, minus(all(byDefault), "mismatched-tide-lenient")},
		"exactly those that are named": {Options{Warnings: []string{"long-job-names"}, ExpensiveChecks: true}, []string{"long-job-names"}},
		"both":                         {Options{Warnings: []string{"valid-decoration-config"}, IncludeDefaultWarnings: true}, append(minus(all(byDefault), "mismatched-tide-lenient"), "valid-decoration-config")},
		"all":                          {Options{ExpensiveChecks: true}, minus(all(byDefault, expensive, optional), "mismatched-tide-lenient", "unknown-fields")},
		"the defaults but one, though it is named":  {Options{Warnings: []string{"long-job-names"}, IncludeDefaultWarnings: true, ExcludeWarnings: []string{"long-job-names"}}, minus(all(byDefault), "mismatched-tide-lenient", "long-job-names")},
		"the lenient one where the full one is off": {Options{ExcludeWarnings: []string{"mismatched-tide"}}, minus(all(byDefault), "mismatched-tide")},
		"the app's":                             {Options{GitHub: github.Flags{AppID: "1", AppKeyPath: "x"}, Warnings: []string{"long-job-names"}}, []string{"long-job-names", appInstallation}},
		"the app's can be left out":             {Options{GitHub: github.Flags{AppID: "1", AppKeyPath: "x"}, Warnings: []string{"long-job-names"}, ExcludeWarnings: []string{appInstallation}}, []string{"long-job-names"}},
		"older names":                           {Options{ExcludeWarnings: []string{"validate-supplemental-prow-config-hirarchy"}}, minus(all(byDefault), "mismatched-tide-lenient", "validate-supplemental-prow-config-hierarchy")},
		"unknown names to leave out do no harm": {Options{Warnings: []string{"long-job-names"}, ExcludeWarnings: []string{"nope"}}, []string{"long-job-names"}},
	} {
		got := slices.Sorted(maps.Keys(tc.o.enabled()))
		slices.Sort(tc.want)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n%q\nwant\n%q", name, got, tc.want)
		}
	}
}

func TestTheSetsOfChecks(t *testing.T) {
	// Scripts of existing installations name these.
	want := map[set]string{
		byDefault: "mismatched-tide tide-strict-branch tide-context-policy mismatched-tide-lenient non-decorated-jobs long-job-names duplicate-job-refs " +
			"needs-ok-to-test managed-webhooks validate-owners missing-trigger validate-urls unknown-fields validate-cluster-field " +
			"validate-supplemental-prow-config-hierarchy validate-unmanaged-branchconfig-has-no-subconfig validate-label required-job-annotations " +
			"periodic-default-clone-config validate-config-updater-acls",
		expensive: "verify-owners-presence",
		optional:  "valid-decoration-config unknown-fields-all validate-github-app-installation duplicate-keys",
	}
	got := map[set][]string{}
	for _, c := range checks {
		got[c.set] = append(got[c.set], c.name)
		if (c.judge == nil) == (c.ask == nil) {
			t.Errorf("%s has no function, or two", c.name)
		}
	}
	for s, list := range want {
		names := strings.Fields(list)
		slices.Sort(names)
		slices.Sort(got[s])
		if !slices.Equal(names, got[s]) {
			t.Errorf("%s: %q, want %q", s, got[s], names)
		}
	}
}

func TestAllMistakesOfBothConfigurationsAreToldTogether(t *testing.T) {
	lay(t, map[string]string{"config.yaml": "plank: {max_goroutines: -1}\nsinker: 5", "plugins.yaml": "size: {s: 1}"})
	r := run(t, "--config-path=config.yaml", "--plugin-config=plugins.yaml")
	if r.status != 1 {
		t.Errorf("found %+v", r)
	}
	has(t, "the error", r.stderr, "3 problems", "config.yaml:1:9: plank.max_goroutines", "config.yaml:2:9: sinker", "plugins.yaml:1:1: size")
}

func TestOutputForPrograms(t *testing.T) {
	lay(t, twoFindings)
	var report Report
	decode := func(r result) {
		t.Helper()
		report = Report{}
		if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
			t.Fatalf("%v: %s", err, r.stdout)
		}
	}
	r := run(t, "--config-path=config.yaml", "--output=json", "--strict", "--exclude-warning=nope")
	decode(r)
	if r.status != 1 || report.Passed || len(report.Findings) != 3 || len(report.Notes) != 1 || len(report.Errors) != 0 {
		t.Errorf("found %+v", r)
	}
	if f := report.Findings[0]; f.Warning != "needs-ok-to-test" || f.File != "config.yaml" || f.Line != 3 || f.Field != "tide.queries[0]" {
		t.Errorf("found %+v", f)
	}
	decode(run(t, "--config-path=missing.yaml", "-o", "json"))
	if report.Passed || len(report.Errors) != 1 || report.Errors[0].File != "missing.yaml" {
		t.Errorf("found %+v", report)
	}
	r = run(t, "--config-path=config.yaml", "-o", "json", "--warnings=validate-urls")
	decode(r)
	if !report.Passed || !strings.Contains(r.stdout, `"findings": []`) {
		t.Errorf("an empty list is a list: %s", r.stdout)
	}
}

func TestHelpListsEveryCheck(t *testing.T) {
	r := run(t, "--help")
	has(t, "help", r.stdout, names()...)
	docs, err := os.ReadFile("../../docs/checkconfig.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names(), rerunCommands) {
		has(t, "docs/checkconfig.md", string(docs), "### "+name+"\n")
	}
}
