package kube

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func kubeconfig(t *testing.T, dir, name, current string, contexts ...string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Config\ncurrent-context: %s\nclusters:\n", current)
	for _, c := range contexts {
		fmt.Fprintf(&b, "- {name: %s, cluster: {server: \"https://%s.example:6443\"}}\n", c, c)
	}
	b.WriteString("contexts:\n")
	for _, c := range contexts {
		fmt.Fprintf(&b, "- {name: %s, context: {cluster: %s}}\n", c, c)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	dir := t.TempDir()
	main := kubeconfig(t, t.TempDir(), "main", "infra", "infra", "build1")
	kubeconfig(t, dir, "a.kubeconfig", "build2", "build2")
	kubeconfig(t, dir, "b.other", "build3", "build3")
	kubeconfig(t, dir, "..hidden.kubeconfig", "x", "x")

	for name, tc := range map[string]struct {
		flags    Flags
		disabled []string
		aliases  []string
		service  string
		fallback string
	}{
		"one file": {Flags{Kubeconfig: main}, nil, []string{"", "build1", "default", "infra"}, "infra", "infra"},
		"a directory adds its contexts, and its last file the current one": {Flags{Kubeconfig: main, KubeconfigDir: dir, KubeconfigSuffix: ".kubeconfig"}, nil, []string{"", "build1", "build2", "default", "infra"}, "build2", "build2"},
		"a disabled context is left out and never current":                 {Flags{Kubeconfig: main, KubeconfigDir: dir, KubeconfigSuffix: ".kubeconfig"}, []string{"build2"}, []string{"", "build1", "default", "infra"}, "infra", "infra"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.flags.Validate(); err != nil {
				t.Fatal(err)
			}
			got, err := tc.flags.Load("test/v1", tc.disabled)
			if err != nil {
				t.Fatal(err)
			}
			var aliases []string
			for a := range got {
				aliases = append(aliases, a)
			}
			slices.Sort(aliases)
			if !slices.Equal(aliases, tc.aliases) {
				t.Errorf("aliases %v, want %v", aliases, tc.aliases)
			}
			if h := got.Service().Host; !strings.Contains(h, tc.service) {
				t.Errorf("service cluster is %s", h)
			}
			if h := got.Build()["default"].Host; !strings.Contains(h, tc.fallback) || got.Service().UserAgent != "test/v1" {
				t.Errorf("default build cluster is %s", h)
			}
		})
	}
}

func TestBadClustersNameTheirFile(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("{nope"), 0o600); err != nil {
		t.Fatal(err)
	}
	twice := t.TempDir()
	kubeconfig(t, twice, "a", "c", "c")
	kubeconfig(t, twice, "b", "c", "c")
	for name, tc := range map[string]struct {
		flags Flags
		want  string
	}{
		"a file that is no kubeconfig": {Flags{Kubeconfig: broken}, broken},
		"a context in two files":       {Flags{KubeconfigDir: twice}, "context c is in kubeconfig"},
	} {
		if _, err := tc.flags.Load("x", nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, flags := range map[string]Flags{
		"a missing file":             {Kubeconfig: filepath.Join(dir, "none")},
		"a file as directory":        {KubeconfigDir: broken},
		"a suffix without directory": {KubeconfigSuffix: ".x"},
	} {
		if flags.Validate() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestTheStampFollowsContentAndNotPermissions(t *testing.T) {
	dir := t.TempDir()
	path := kubeconfig(t, dir, "a", "x", "x")
	f := Flags{KubeconfigDir: dir}
	before := f.Stamp()
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if f.Stamp() != before {
		t.Error("a change of permissions counts")
	}
	kubeconfig(t, dir, "a", "x", "x", "y")
	changed := f.Stamp()
	kubeconfig(t, dir, "b", "z", "z")
	if changed == before || f.Stamp() == changed {
		t.Error("a change of content or a new file does not count")
	}
}
