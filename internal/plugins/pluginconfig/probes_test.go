package pluginconfig_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"prow/internal/plugins/pluginconfig"
)

// refusal loads files and returns the error; empty if there is none.
func refusal(t *testing.T, files map[string]string) string {
	t.Helper()
	if _, err := pluginconfig.Load(t.Context(), options(t, files)); err != nil {
		return err.Error()
	}
	return ""
}

func TestProbe9AnExcludedRepositoryUsesNothingUntilItAsksItself(t *testing.T) {
	c := load(t, "plugins: {o: {plugins: [hold], excluded_repos: [r2]}}")
	if !c.Enabled("hold", "o", "r1") || c.Enabled("hold", "o", "r2") {
		t.Error("wrong")
	}
	if c := load(t, "plugins: {o: {plugins: [hold], excluded_repos: [r2]}, o/r2: {plugins: [hold]}}"); !c.Enabled("hold", "o", "r2") {
		t.Error("the repository's own entry counts")
	}
}

func TestProbe10TheOlderFormMeansTheSame(t *testing.T) {
	older, newer := load(t, "plugins: {o: [hold]}"), load(t, "plugins: {o: {plugins: [hold]}}")
	if diff := cmp.Diff(newer.EnabledPlugins("o", "r"), older.EnabledPlugins("o", "r")); diff != "" {
		t.Error(diff)
	}
}

func TestProbe11APluginOfAnOrgAndOfItsRepositoryIsRefused(t *testing.T) {
	got := refusal(t, map[string]string{"plugins.yaml": "plugins: {o: {plugins: [hold]}, o/r1: {plugins: [hold]}}"})
	if !strings.Contains(got, "plugins.o/r1") || !strings.Contains(got, "the org o uses already") {
		t.Errorf("the error does not name both: %q", got)
	}
	if got := refusal(t, map[string]string{"plugins.yaml": "plugins: {o: {plugins: [hold], excluded_repos: [r1]}, o/r1: {plugins: [hold]}}"}); got != "" {
		t.Errorf("with r1 excluded it is fine, found %q", got)
	}
}

func TestProbe26WhatSupplementalFilesMayHold(t *testing.T) {
	const main = "plugins: {o: {plugins: [hold]}}"
	for name, tc := range map[string]struct {
		file, content string
		refused       bool
	}{
		"size":                               {"x_pluginconfig.yaml", "size: {s: 1}", true},
		"additional labels":                  {"x_pluginconfig.yaml", "label: {additional_labels: [a]}", true},
		"lgtm":                               {"x_pluginconfig.yaml", "lgtm: [{repos: [o], store_tree_hash: true}]", false},
		"bugzilla":                           {"x_pluginconfig.yaml", "bugzilla: {default: {'*': {is_open: true}}}", false},
		"a key of plugins that is set":       {"x_pluginconfig.yaml", main, true},
		"the same in a volume's bookkeeping": {"..data/x_pluginconfig.yaml", main, false},
	} {
		if got := refusal(t, map[string]string{"plugins.yaml": main, tc.file: tc.content}); (got != "") != tc.refused {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestProbes27To29Refusals(t *testing.T) {
	for name, content := range map[string]string{
		"27 blunderbuss and rifle":            "plugins: {o: {plugins: [blunderbuss]}, o/r: {plugins: [rifle]}}",
		"27 no reviewers":                     "blunderbuss: {request_count: 0}",
		"28 an expression that matches":       "require_matching_label: [{org: o, prs: true, regexp: ^needs-, missing_label: needs-kind}]",
		"28 neither pull requests nor issues": "require_matching_label: [{org: o, regexp: ^kind/, missing_label: needs-kind}]",
		"29 sizes that shrink":                "size: {s: 10, m: 5, l: 20, xl: 30, xxl: 40}",
	} {
		if refusal(t, map[string]string{"plugins.yaml": content}) == "" {
			t.Errorf("%s is accepted", name)
		}
	}
}
