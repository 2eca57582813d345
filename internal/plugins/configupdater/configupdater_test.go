package configupdater

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	gogithub "github.com/google/go-github/v75/github"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/forge/github"
	"prow/internal/kube/kubetest"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

func TestPlans(t *testing.T) {
	here := map[string][]string{"default": {""}}
	yes := true
	cfg := &pluginconfig.ConfigUpdater{Maps: map[string]pluginconfig.ConfigMapSpec{
		"config.yaml":  {Name: "config", Clusters: here},
		"plugins.yaml": {Name: "plugins", Key: "fixed", GZIP: &yes, Clusters: map[string][]string{"default": {"", "other"}, "build": {"x"}}},
		"jobs/**":      {Name: "jobs", UseFullPathAsKey: true, Clusters: here},
		"parts/**":     {PartitionedNames: []string{"p0", "p1"}, Clusters: here},
		"mine/**":      {Name: "mine", AllowedRepos: []string{"o/other"}, Clusters: here},
		"not/**":       {Name: "not", DeniedRepos: []string{"o"}, Clusters: here},
	}}
	file := func(status, name string) github.PullRequestChange {
		return github.PullRequestChange{Status: status, Filename: name}
	}
	moved := func(from, to string) github.PullRequestChange {
		return github.PullRequestChange{Status: "renamed", PreviousFilename: from, Filename: to}
	}
	for name, tc := range map[string]struct {
		changes []github.PullRequestChange
		want    string
	}{
		"nothing":                              {[]github.PullRequestChange{file("added", "x")}, ""},
		"a file":                               {[]github.PullRequestChange{file("modified", "config.yaml")}, "default/jobs-ns/config: +config.yaml=config.yaml"},
		"a file that goes":                     {[]github.PullRequestChange{file("removed", "config.yaml")}, "default/jobs-ns/config: -config.yaml=config.yaml"},
		"a file that did not change":           {[]github.PullRequestChange{file("unchanged", "config.yaml")}, ""},
		"a copy":                               {[]github.PullRequestChange{file("copied", "config.yaml")}, "default/jobs-ns/config: +config.yaml=config.yaml"},
		"a full path":                          {[]github.PullRequestChange{file("added", "jobs/a/b.yaml")}, "default/jobs-ns/jobs: +jobs-a-b.yaml=jobs/a/b.yaml"},
		"several places, compressed":           {[]github.PullRequestChange{file("added", "plugins.yaml")}, "build/x/plugins: +fixed=plugins.yaml.gz; default/jobs-ns/plugins: +fixed=plugins.yaml.gz; default/other/plugins: +fixed=plugins.yaml.gz"},
		"a move":                               {[]github.PullRequestChange{moved("jobs/a", "jobs/b")}, "default/jobs-ns/jobs: -jobs-a=jobs/a +jobs-b=jobs/b"},
		"a move out of all globs":              {[]github.PullRequestChange{moved("jobs/a", "x")}, "default/jobs-ns/jobs: -jobs-a=jobs/a"},
		"a move from one ConfigMap to another": {[]github.PullRequestChange{moved("jobs/a", "config.yaml")}, "default/jobs-ns/config: +config.yaml=config.yaml; default/jobs-ns/jobs: -jobs-a=jobs/a"},
		"one comes, one goes":                  {[]github.PullRequestChange{file("added", "jobs/a/b"), file("removed", "jobs/a-b")}, "default/jobs-ns/jobs: +jobs-a-b=jobs/a/b"},
		"one goes, one comes":                  {[]github.PullRequestChange{file("removed", "jobs/a-b"), file("added", "jobs/a/b")}, "default/jobs-ns/jobs: +jobs-a-b=jobs/a/b"},
		"partitions":                           {[]github.PullRequestChange{file("added", "parts/a"), file("added", "parts/b"), file("added", "parts/c")}, "default/jobs-ns/p0: +a=parts/a +b=parts/b +c=parts/c"},
		"repositories that may not":            {[]github.PullRequestChange{file("added", "mine/a"), file("added", "not/a")}, ""},
	} {
		p := plan(cfg, "o", "r", "jobs-ns", tc.changes)
		var got []string
		for _, target := range ordered(p) {
			says := target.cluster + "/" + target.namespace + "/" + target.name + ":"
			for _, u := range p[target] {
				sign, suffix := " +", ""
				if u.remove {
					sign = " -"
				}
				if u.gzip {
					suffix = ".gz"
				}
				says += sign + u.key + "=" + u.file + suffix
			}
			got = append(got, says)
		}
		if strings.Join(got, "; ") != tc.want {
			t.Errorf("%s: %q", name, strings.Join(got, "; "))
		}
	}
	spec := pluginconfig.ConfigMapSpec{PartitionedNames: []string{"p0", "p1", "p2"}}
	for key, want := range map[string]string{"a": "p1", "b": "p2", "c": "p1"} { // 0xca, 0x3e, 0x2e modulo 3
		if got := nameOf(&spec, key); got != want {
			t.Errorf("%s: %s", key, got)
		}
	}
}

func TestApplying(t *testing.T) {
	cm := &corev1.ConfigMap{Data: map[string]string{"a": "1", "b": "1", "keep": "1"}, BinaryData: map[string][]byte{"c": {0xff}}}
	apply(cm, "v", []value{{"a", []byte{0xff}}, {"b", nil}, {"c", []byte("text")}, {"empty", []byte{}}})
	got := fmt.Sprint(cm.Data, cm.BinaryData, cm.Labels, size(cm))
	if want := "map[VERSION:v c:text empty: keep:1] map[a:[255]] map[app.kubernetes.io/component:updateconfig-plugin app.kubernetes.io/name:prow] 7"; got != want {
		t.Errorf("got %s", got)
	}
	cm = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"x": "y"}}}
	if apply(cm, "v", nil); len(cm.Labels) != 1 {
		t.Errorf("labels %v", cm.Labels)
	}
}

const settings = `config_updater: {maps: {config/prow/config.yaml: {name: config}, 'jobs/**/*.yaml': {name: jobs, use_full_path_as_key: true}, 'z/*': {name: zipped, gzip: true}, 'raw/*': {name: raw}}}`

func configMap(t *testing.T, w *plugintest.World, name string) *corev1.ConfigMap {
	t.Helper()
	var cm corev1.ConfigMap
	if err := w.ProwJobs.Get(t.Context(), client.ObjectKey{Namespace: w.Config.ProwJobNamespace, Name: name}, &cm); err != nil {
		t.Fatal(err)
	}
	return &cm
}

// merged opens a pull request with files and merges it; it returns the commit.
func merged(w *plugintest.World, branch string, files map[string]string) (number int, sha string) {
	w.Push(branch, files)
	number = w.Pull("eve", branch, "T", "")
	w.Merge("boss", number)
	return number, w.Head("main")
}

func TestProbe31_MergedFilesGoToConfigMaps(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: settings})
	if err := w.ProwJobs.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Config.ProwJobNamespace, Name: "config"}, Data: map[string]string{"other": "kept", "config.yaml": "old"},
	}); err != nil {
		t.Fatal(err)
	}
	n, sha := merged(w, "one", map[string]string{"config/prow/config.yaml": "a: 1\n\n", "jobs/a.yaml": "x", "raw/bytes": "\xff\xfe", "raw/empty": "\n", "z/zip": "unzipped", "y": "no"})
	cm := configMap(t, w, "config")
	if cm.Data["config.yaml"] != "a: 1\n\n" || cm.Data["VERSION"] != sha || cm.Data["other"] != "kept" || len(cm.Data) != 3 {
		t.Errorf("%q", cm.Data)
	}
	w.WantComments(n, "@eve: "+marker+"\n\n- `config` in namespace `default` of cluster `default` with these keys and files:\n  - `config.yaml` from `config/prow/config.yaml`\n- `jobs` in")
	w.HandleAgain("pull_request")
	w.WantComments(n, marker)
	if got := testutil.ToFloat64(w.ConfigMapSize.WithLabelValues("config", "default")); got != float64(len("a: 1\n\n")+len(sha)+len("kept")) {
		t.Errorf("size %v", got)
	}
	if raw := configMap(t, w, "raw"); string(raw.BinaryData["bytes"]) != "\xff\xfe" || raw.Data["empty"] != "\n" {
		t.Errorf("%q", raw)
	}
	r, err := gzip.NewReader(bytes.NewReader(configMap(t, w, "zipped").BinaryData["zip"]))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); string(text) != "unzipped" || err != nil {
		t.Errorf("%q, %v", text, err)
	}

	_, sha = merged(w, "move", map[string]string{"jobs/a.yaml": "", "jobs/b/c.yaml": "x"})
	if jobs := configMap(t, w, "jobs"); jobs.Data["jobs-b-c.yaml"] != "x" || jobs.Data["VERSION"] != sha || len(jobs.Data) != 2 {
		t.Errorf("%q", jobs.Data)
	}
	merged(w, "gone", map[string]string{"jobs/b/c.yaml": ""})
	if jobs := configMap(t, w, "jobs"); len(jobs.Data) != 1 {
		t.Errorf("%q", jobs.Data)
	}
	nothing, _ := merged(w, "nothing", map[string]string{"y": "z"})
	w.WantComments(nothing)

	w.Push("release", nil)
	w.Push("other", map[string]string{"config/prow/config.yaml": "a: 2"})
	other := w.OpenPull("eve", gogithub.NewPullRequest{Title: gogithub.Ptr("T"), Head: gogithub.Ptr("other"), Base: gogithub.Ptr("release")})
	w.Merge("boss", other)
	w.WantComments(other)
	if cm := configMap(t, w, "config"); cm.Data["config.yaml"] != "a: 1\n\n" {
		t.Errorf("%q", cm.Data)
	}
}

func TestALateEventBringsNothingBack(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: settings})
	n, early := merged(w, "one", map[string]string{"jobs/a.yaml": "1", "jobs/b.yaml": "1", "jobs/c.yaml": "1"})
	_, late := merged(w, "two", map[string]string{"jobs/a.yaml": "2", "jobs/b.yaml": ""})
	e := &github.PullRequestEvent{Action: github.ActionClosed, Number: n}
	pr, err := w.Agent("").GitHub.GetPullRequest(t.Context(), "o", "r", n)
	if err != nil {
		t.Fatal(err)
	}
	e.PullRequest, e.Repo = *pr, pr.Base.Repo
	if early == late || *pr.MergeSHA != early {
		t.Fatalf("merged as %s, main was at %s", *pr.MergeSHA, early)
	}
	if err := handle(t.Context(), w.Agent("late"), e); err != nil {
		t.Error(err)
	}
	jobs := configMap(t, w, "jobs")
	if got := fmt.Sprint(jobs.Data); got != "map[VERSION:"+late+" jobs-a.yaml:2 jobs-c.yaml:1]" {
		t.Error(got)
	}
}

func TestOneConfigMapDoesNotKeepUpAnother(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{
		Plugin:   New(),
		Plugins:  settings,
		ProwJobs: func(c client.Client) client.Client { return failing{c, "config"} },
	})
	n, sha := merged(w, "one", map[string]string{"config/prow/config.yaml": "a", "jobs/a.yaml": "x", "raw/a b": "x", "raw/good": "x"})
	err := w.Errors()
	if err == nil || !strings.Contains(err.Error(), "ConfigMap config of namespace default of cluster default: writing it: no room") || !strings.Contains(err.Error(), `"a b" cannot be a key`) {
		t.Error(err)
	}
	if jobs, raw := configMap(t, w, "jobs"), configMap(t, w, "raw"); jobs.Data["VERSION"] != sha || raw.Data["good"] != "x" {
		t.Errorf("%q, %q", jobs.Data, raw.Data)
	}
	w.WantComments(n, marker+"\n\n- `jobs`")
}

// failing cannot write one object.
type failing struct {
	client.Client
	name string
}

func (f failing) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	if o.GetName() == f.name {
		return errors.New("no room")
	}
	return f.Client.Create(ctx, o, opts...)
}

func TestTheAPIServerTakesConcurrentUpdates(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Start(t)
	api, err := client.New(cluster.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	where := target{"default", cluster.Namespace(t), "config"}
	// First all find no ConfigMap, and one of them creates it; then all find the same,
	// and one of them updates it. The others start again.
	const writers = 4
	for phase := range 2 {
		var found, running sync.WaitGroup
		found.Add(writers)
		for i := range writers {
			running.Go(func() {
				first := true
				_, err := write(t.Context(), api, where, func(cm *corev1.ConfigMap) error {
					if first {
						first = false
						found.Done()
						found.Wait()
					}
					apply(cm, "v", []value{{fmt.Sprintf("key-%d-%d", phase, i), []byte{byte(i), 0xff}}})
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
	}
	cm, err := write(t.Context(), api, where, func(cm *corev1.ConfigMap) error {
		if cm.ResourceVersion == "" {
			t.Error("the ConfigMap was not created")
		}
		return nil
	})
	if err != nil || len(cm.BinaryData) != 2*writers || cm.Data["VERSION"] != "v" {
		t.Fatalf("%+v, %v", cm, err)
	}
	again, err := write(t.Context(), api, where, func(cm *corev1.ConfigMap) error {
		apply(cm, "v", []value{{"key-0-0", []byte{0, 0xff}}})
		return nil
	})
	if err != nil || again.ResourceVersion != cm.ResourceVersion {
		t.Errorf("what is there already is not written: %v", err)
	}
	refused := errors.New("refused")
	if _, err := write(t.Context(), api, where, func(*corev1.ConfigMap) error { return refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
}
