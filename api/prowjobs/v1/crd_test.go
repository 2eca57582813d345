package v1_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/kube/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

var (
	prowJobs    = v1.SchemeGroupVersion.WithResource("prowjobs")
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// installed returns a client of a cluster that has the definition of these
// sources, whatever the control plane brought along, and a namespace in it.
func installed(t *testing.T) (*kubetest.Cluster, dynamic.ResourceInterface) {
	t.Helper()
	cluster := kubetest.Start(t)
	all, err := dynamic.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	var definition unstructured.Unstructured
	if err := yaml.Unmarshal(v1.CRDManifest, &definition.Object); err != nil {
		t.Fatal(err)
	}
	crds := all.Resource(definitions)
	if err := crds.Delete(ctx, definition.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	poll(t, "the old definition to go", func() bool {
		_, err := crds.Get(ctx, definition.GetName(), metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	applied, err := crds.Apply(ctx, definition.GetName(), &definition, metav1.ApplyOptions{FieldManager: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if problems, _, _ := unstructured.NestedSlice(applied.Object, "status", "conditions"); len(problems) > 0 {
		t.Logf("conditions: %v", problems)
	}
	jobs := all.Resource(prowJobs).Namespace(cluster.Namespace(t))
	poll(t, "ProwJobs to be served", func() bool {
		_, err := jobs.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false
		}
		// Served may still mean: by the definition that was deleted.
		_, err = jobs.Create(ctx, object(t, `{"metadata":{"name":"first"},"spec":{"job":"j","type":"periodic"},"status":{"state":"triggered"}}`), metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err)
	})
	return cluster, jobs
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	var o unstructured.Unstructured
	if err := json.Unmarshal([]byte(`{"apiVersion":"prow.k8s.io/v1","kind":"ProwJob",`+strings.TrimPrefix(text, "{")), &o.Object); err != nil {
		t.Fatal(err)
	}
	return &o
}

func TestDefinitionOnARealAPIServer(t *testing.T) {
	cluster, jobs := installed(t)
	ctx := t.Context()

	for sentence, c := range map[string]struct {
		object string
		// refused is a part of the message; empty accepts.
		refused string
	}{
		"probe 1: without a type":                      {`{"spec":{"job":"j"}}`, "spec.type: Required"},
		"probe 1: with type nightly":                   {`{"spec":{"job":"j","type":"nightly"}}`, `spec.type: Unsupported value: "nightly"`},
		"probe 1: with max_concurrency -1":             {`{"spec":{"job":"j","type":"periodic","max_concurrency":-1}}`, "spec.max_concurrency"},
		"probe 2: success without completion":          {`{"status":{"state":"success"}}`, `"status" must validate`},
		"probe 2: failure without completion":          {`{"status":{"state":"failure"}}`, `"status" must validate`},
		"probe 2: error without completion":            {`{"status":{"state":"error"}}`, `"status" must validate`},
		"probe 2: aborted without completion":          {`{"status":{"state":"aborted"}}`, ""},
		"success with completion":                      {`{"status":{"state":"success","completionTime":"2024-01-02T03:04:05Z"}}`, ""},
		"scheduling":                                   {`{"status":{"state":"scheduling"}}`, ""},
		"neither spec nor status":                      {`{"metadata":{}}`, ""},
		"without a job":                                {`{"spec":{"type":"periodic"}}`, "spec.job: Required"},
		"a status without a state":                     {`{"status":{"description":"x"}}`, "status.state: Required"},
		"an unknown state":                             {`{"status":{"state":"done"}}`, `status.state: Unsupported value: "done"`},
		"refs without a repository":                    {`{"spec":{"job":"j","type":"batch","refs":{"org":"o"}}}`, "spec.refs.repo: Required"},
		"extra refs without an org":                    {`{"spec":{"job":"j","type":"batch","extra_refs":[{"repo":"r"}]}}`, "spec.extra_refs[0].org: Required"},
		"a pull without a commit":                      {`{"spec":{"job":"j","type":"batch","refs":{"org":"o","repo":"r","pulls":[{"number":1,"author":"a"}]}}}`, "spec.refs.pulls[0].sha: Required"},
		"a pull without a number":                      {`{"spec":{"job":"j","type":"batch","refs":{"org":"o","repo":"r","pulls":[{"sha":"s","author":"a"}]}}}`, "spec.refs.pulls[0].number: Required"},
		"a pull without an author":                     {`{"spec":{"job":"j","type":"batch","refs":{"org":"o","repo":"r","pulls":[{"sha":"s","number":1}]}}}`, "spec.refs.pulls[0].author: Required"},
		"a team without an org":                        {`{"spec":{"job":"j","type":"batch","rerun_auth_config":{"github_team_slugs":[{"slug":"s"}]}}}`, "github_team_slugs[0].org: Required"},
		"a container without a name":                   {`{"spec":{"job":"j","type":"batch","pod_spec":{"containers":[{"image":"i"}]}}}`, "spec.pod_spec.containers[0].name: Required"},
		"a container with an empty name":               {`{"spec":{"job":"j","type":"batch","pod_spec":{"containers":[{"name":"","image":"i"}]}}}`, ""},
		"a pod without containers":                     {`{"spec":{"job":"j","type":"batch","pod_spec":{}}}`, "spec.pod_spec.containers: Required"},
		"two containers of one name":                   {`{"spec":{"job":"j","type":"batch","pod_spec":{"containers":[{"name":"a"},{"name":"a"}]}}}`, "Duplicate value"},
		"a time-out as an integer":                     {`{"spec":{"job":"j","type":"batch","decoration_config":{"timeout":3600000000000}}}`, "spec.decoration_config.timeout"},
		"a time-out as a string":                       {`{"spec":{"job":"j","type":"batch","decoration_config":{"timeout":"1h","pod_pending_timeout":"2m","log_chunk_interval":"1m"}}}`, ""},
		"a memory request as an integer":               {`{"spec":{"job":"j","type":"batch","decoration_config":{"default_memory_request":1073741824}}}`, ""},
		"a memory request as a quantity":               {`{"spec":{"job":"j","type":"batch","decoration_config":{"default_memory_request":"1Gi"}}}`, ""},
		"a memory request that is no quantity":         {`{"spec":{"job":"j","type":"batch","decoration_config":{"default_memory_request":"much"}}}`, "default_memory_request"},
		"a pipeline of any shape":                      {`{"spec":{"job":"j","type":"batch","tekton_pipeline_run_spec":{"v1beta1":{"any":{"thing":[1]}}}}}`, ""},
		"a pipeline that is no object":                 {`{"spec":{"job":"j","type":"batch","pipeline_run_spec":"x"}}`, "spec.pipeline_run_spec"},
		"an agent that is not known":                   {`{"spec":{"job":"j","type":"batch","agent":"mine"}}`, ""},
		"a start that is no time":                      {`{"status":{"state":"triggered","startTime":"yesterday"}}`, "status.startTime"},
		"a start of null, as Go clients write no time": {`{"status":{"state":"triggered","startTime":null}}`, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			o := object(t, c.object)
			o.SetGenerateName("probe-")
			made, err := jobs.Create(ctx, o, metav1.CreateOptions{})
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("got %v, want %q", err, c.refused)
			}
			if err != nil {
				return
			}
			if value, found, _ := unstructured.NestedFieldNoCopy(made.Object, "status", "startTime"); found && value == nil {
				t.Error("a start of null is kept")
			}
		})
	}

	t.Run("probe 3: the columns", func(t *testing.T) {
		config := rest.CopyConfig(cluster.Config)
		config.GroupVersion, config.APIPath, config.NegotiatedSerializer = &v1.SchemeGroupVersion, "/apis", scheme.Codecs.WithoutConversion()
		c, err := rest.RESTClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := c.Get().Resource("prowjobs").SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(ctx).Raw()
		if err != nil {
			t.Fatal(err)
		}
		var table metav1.Table
		if err := json.Unmarshal(raw, &table); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, column := range table.ColumnDefinitions {
			if column.Priority == 0 {
				names = append(names, strings.ToUpper(column.Name))
			}
		}
		if got, want := strings.Join(names, " "), "NAME JOB BUILDID TYPE ORG REPO PULLS STARTTIME COMPLETIONTIME STATE"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})

	t.Run("probe 4: the status is written through the main resource", func(t *testing.T) {
		patched, err := jobs.Patch(ctx, "first", types.MergePatchType, []byte(`{"status":{"state":"pending","build_id":"7"}}`), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if id, _, _ := unstructured.NestedString(patched.Object, "status", "build_id"); id != "7" {
			t.Errorf("the patch was lost: %v", patched.Object["status"])
		}
		if _, err := jobs.Patch(ctx, "first", types.MergePatchType, []byte(`{"status":{"state":"pending"}}`), metav1.PatchOptions{}, "status"); !apierrors.IsNotFound(err) {
			t.Errorf("the sub-resource answers %v, want 404", err)
		}
	})

	t.Run("unknown fields are pruned", func(t *testing.T) {
		made, err := jobs.Create(ctx, object(t, `{"metadata":{"generateName":"x"},"spec":{"job":"j","type":"batch","surprise":1}}`), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, found, _ := unstructured.NestedFieldNoCopy(made.Object, "spec", "surprise"); found {
			t.Error("spec.surprise was kept")
		}
	})

	t.Run("every field of the Go types survives a round trip", func(t *testing.T) {
		s := scheme.Scheme
		if err := v1.AddToScheme(s); err != nil {
			t.Fatal(err)
		}
		c, err := client.New(cluster.Config, client.Options{Scheme: s})
		if err != nil {
			t.Fatal(err)
		}
		want := fullProwJob()
		want.Namespace = cluster.Namespace(t)
		made := want.DeepCopy()
		if err := c.Create(ctx, made); err != nil {
			t.Fatal(err)
		}
		var got v1.ProwJob
		if err := c.Get(ctx, client.ObjectKeyFromObject(want), &got); err != nil {
			t.Fatal(err)
		}
		asJSON := func(v any) string {
			b, err := json.MarshalIndent(v, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		if a, b := asJSON(want.Spec), asJSON(got.Spec); a != b {
			t.Errorf("spec: wrote %s\nread %s", a, b)
		}
		if a, b := asJSON(want.Status), asJSON(got.Status); a != b {
			t.Errorf("status: wrote %s\nread %s", a, b)
		}
	})
}

// fullProwJob sets at least one field in each struct of the API.
func fullProwJob() *v1.ProwJob {
	yes, no := true, false
	now := metav1.NewTime(time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC))
	refs := v1.Refs{
		Org: "o", Repo: "r", RepoLink: "https://h/o/r", BaseRef: "main", BaseSHA: "sha", BaseLink: "https://h/o/r/commit/sha",
		Pulls:     []v1.Pull{{Number: 1, Author: "a", SHA: "s", Title: "t", Ref: "refs/x", HeadRef: "h", Link: "l", CommitLink: "c", AuthorLink: "al"}},
		PathAlias: "p", WorkDir: true, Auxiliary: true, CloneURI: "u", SkipSubmodules: true, CloneDepth: 1, SkipFetchHead: true,
		BloblessFetch: &no, SparseCheckoutFiles: []string{"f"}, SparseCheckout: []string{"d"},
	}
	return &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: "full"},
		Spec: v1.ProwJobSpec{
			Type: v1.BatchJob, Agent: v1.KubernetesAgent, Cluster: "c", Namespace: "n", Job: "j", Refs: &refs, ExtraRefs: []v1.Refs{refs},
			Report: true, Context: "x", RerunCommand: "/test j", MaxConcurrency: 1, ErrorOnEviction: true,
			PodSpec:     &corev1.PodSpec{Containers: []corev1.Container{{Image: "i"}}},
			JenkinsSpec: &v1.JenkinsSpec{GitHubBranchSourceJob: true}, DecorationConfig: v1.FullDecorationForTest("m", 7),
			ReporterConfig:  &v1.ReporterConfig{Slack: &v1.SlackReporterConfig{Host: "h", Channel: "c", JobStatesToReport: []v1.ProwJobState{v1.ErrorState}, ReportTemplate: "t", Report: &yes}},
			RerunAuthConfig: &v1.RerunAuthConfig{GitHubTeamIDs: []int{1}, GitHubTeamSlugs: []v1.GitHubTeamSlug{{Slug: "s", Org: "o"}}, GitHubUsers: []string{"u"}, GitHubOrgs: []string{"o"}},
			Hidden:          true, ProwJobDefault: &v1.ProwJobDefault{ResultStoreConfig: &v1.ResultStoreConfig{ProjectID: "p"}, TenantID: "t"}, JobQueueName: "q",
		},
		Status: v1.ProwJobStatus{
			StartTime: now, PendingTime: &now, CompletionTime: &now, State: v1.SuccessState, Description: "d", URL: "u", PodRevivalCount: 1, PodName: "p",
			BuildID: "b", JenkinsBuildID: "jb", PrevReportStates: map[string]v1.ProwJobState{v1.GitHubReporterName: v1.PendingState},
		},
	}
}
