package deploy

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// render makes the objects of the chart, with its definition of ProwJobs.
func render(t *testing.T, values map[string]any) []*unstructured.Unstructured {
	t.Helper()
	chart, err := loader.Load(filepath.Join(root, "helm/prow"))
	must(t, err)
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "prow", Namespace: "prow"}, chartutil.DefaultCapabilities)
	must(t, err)
	files, err := engine.Render(chart, all)
	must(t, err)
	var texts []string
	for _, name := range sortedKeys(files) {
		texts = append(texts, files[name])
	}
	for _, crd := range chart.CRDObjects() {
		texts = append(texts, string(crd.File.Data))
	}
	var out []*unstructured.Unstructured
	for _, text := range texts {
		for part := range strings.SplitSeq("\n"+text, "\n---") {
			content := map[string]any{}
			if err := yaml.Unmarshal([]byte(part), &content); err != nil {
				t.Fatalf("%v:\n%s", err, part)
			}
			if len(content) > 0 {
				out = append(out, &unstructured.Unstructured{Object: content})
			}
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// ordered sorts the lists of which the order says nothing: volumes, variables, flags, rules.
func ordered(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, inner := range v {
			inner = ordered(inner)
			if list, ok := inner.([]any); ok && slices.Contains([]string{"args", "volumes", "volumeMounts", "env", "ingress", "egress", "values", "verbs"}, key) {
				slices.SortFunc(list, func(a, b any) int { return cmp.Compare(encoded(a), encoded(b)) })
			}
			if text, ok := inner.(string); ok && v["kind"] == nil && key == "service-account.json" {
				inner = strings.ReplaceAll(text, "\n", "") // kustomize folds long values
			}
			out[key] = inner
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = ordered(inner)
		}
		return out
	}
	return value
}

func encoded(value any) string {
	raw, _ := json.Marshal(value)
	return string(raw)
}

// byName are objects in the form in which they are compared.
func byName(t *testing.T, objects []*unstructured.Unstructured) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range objects {
		if _, twice := out[name(o)]; twice {
			t.Errorf("%s is there twice", name(o))
		}
		var plain any // the numbers of both as JSON has them
		must(t, json.Unmarshal([]byte(encoded(o.Object)), &plain))
		raw, err := json.MarshalIndent(ordered(plain), "", " ")
		must(t, err)
		out[name(o)] = string(raw)
	}
	return out
}

func TestTheChartMakesWhatKustomizeMakes(t *testing.T) {
	file := func(path string) string {
		raw, err := os.ReadFile(filepath.Join(root, path))
		must(t, err)
		return string(raw)
	}
	of := func(starter string, more map[string]any) map[string]any {
		dir := "starters/" + starter + "/"
		out := map[string]any{
			"config": file(dir + "config.yaml"), "plugins": file(dir + "plugins.yaml"), "jobs": file(dir + "jobs.yaml"),
			"secrets": map[string]any{"githubToken": file(dir + "secrets/github-token"), "hmac": file(dir + "secrets/hmac"), "storage": file(dir + "secrets/storage.json")},
		}
		for key, value := range more {
			out[key] = value
		}
		return out
	}
	sets := variants(t)
	for what, values := range map[string]map[string]any{
		"starters/s3":   of("s3", nil),
		"starters/gcs":  of("gcs", map[string]any{"storage": map[string]any{"kind": "gcs", "bucket": "gs://prow-logs"}}),
		"starters/disk": of("disk", map[string]any{"artifactsOnDisk": map[string]any{"enabled": true, "secretKey": "REPLACE-ME"}}),
		"large": of("s3", map[string]any{
			"postgres": true, "twoOfEach": true, "ghproxy": true, "github": map[string]any{"app": true}, "buildClusters": true, "signIn": true,
			"webhooksPage": true, "configUpdater": true, "nodeFacts": true, "webhookServer": true, "monitoring": true,
		}),
	} {
		t.Run(what, func(t *testing.T) {
			chart, kustomize := byName(t, render(t, values)), byName(t, sets[what])
			for key, want := range kustomize {
				if got, ok := chart[key]; !ok {
					t.Errorf("the chart does not make %s", key)
				} else if got != want {
					t.Errorf("%s: the chart makes\n%s\nkustomize makes\n%s", key, got, want)
				}
			}
			for key := range chart {
				if _, ok := kustomize[key]; !ok {
					t.Errorf("only the chart makes %s", key)
				}
			}
		})
	}
}

// Values that the chart offers beyond what kustomize has reach the objects.
func TestValuesReachTheObjects(t *testing.T) {
	objects := render(t, map[string]any{
		"namespace": "ci", "podNamespace": "pods", "images": map[string]any{"registry": "registry.example.com/", "tag": "v7", "pullSecrets": []any{map[string]any{"name": "pull"}}},
		"ingress":          map[string]any{"host": "ci.example.com", "className": "nginx"},
		"storageClassName": "fast", "nodeSelector": map[string]any{"pool": "ci"}, "components": map[string]any{"hook": map[string]any{"extraArgs": []any{"--github-host=git.example.com"}}},
	})
	text := encoded(ordered(objectsOf(objects)))
	for _, want := range []string{`"image":"registry.example.com/prow:v7"`, `"namespace":"ci"`, `"namespace":"pods"`, `"host":"ci.example.com"`, `"ingressClassName":"nginx"`, `"storageClassName":"fast"`, `"nodeSelector":{"pool":"ci"}`, `"--github-host=git.example.com"`, `"imagePullSecrets":[{"name":"pull"}]`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is nowhere", want)
		}
	}
	for _, o := range objects {
		if ns := o.GetNamespace(); ns != "" && ns != "ci" && ns != "pods" {
			t.Errorf("%s is in another namespace", name(o))
		}
	}
}

func objectsOf(objects []*unstructured.Unstructured) (out []any) {
	for _, o := range objects {
		out = append(out, o.Object)
	}
	return out
}
