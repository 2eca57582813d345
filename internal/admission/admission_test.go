package admission

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	prowv1 "prow/api/prowjobs/v1"
)

func raw(t testing.TB, edit func(*prowv1.ProwJob)) runtime.RawExtension {
	t.Helper()
	j := &prowv1.ProwJob{TypeMeta: metav1.TypeMeta{APIVersion: "prow.k8s.io/v1", Kind: "ProwJob"}}
	j.Name, j.Spec.Job, j.Spec.Type = "one", "unit", prowv1.PeriodicJob
	j.Status.State = prowv1.TriggeredState
	if edit != nil {
		edit(j)
	}
	b, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: b}
}

// Probe 35: an update that changes spec.max_concurrency is denied; an update of
// the status only is allowed.
func TestProbe35OnlyTheStatusMayChange(t *testing.T) {
	scheduling := func(j *prowv1.ProwJob) { j.Status.State = prowv1.SchedulingState }
	for name, tc := range map[string]struct {
		operation admissionv1.Operation
		sub       string
		old, new  runtime.RawExtension
		want      metav1.StatusReason // "" is allowed
	}{
		"spec.max_concurrency changes":     {"UPDATE", "", raw(t, nil), raw(t, func(j *prowv1.ProwJob) { j.Spec.MaxConcurrency = 2 }), "Forbidden"},
		"the status changes":               {"UPDATE", "", raw(t, nil), raw(t, func(j *prowv1.ProwJob) { j.Status.State = "pending" }), ""},
		"a label changes":                  {"UPDATE", "", raw(t, nil), raw(t, func(j *prowv1.ProwJob) { j.Labels = map[string]string{"a": "b"} }), ""},
		"nil becomes empty":                {"UPDATE", "", raw(t, nil), raw(t, func(j *prowv1.ProwJob) { j.Spec.ExtraRefs = []prowv1.Refs{} }), ""},
		"the scheduler chooses a cluster":  {"UPDATE", "", raw(t, scheduling), raw(t, func(j *prowv1.ProwJob) { j.Spec.Cluster = "b" }), ""},
		"the scheduler changes more":       {"UPDATE", "", raw(t, scheduling), raw(t, func(j *prowv1.ProwJob) { j.Spec.Cluster, j.Spec.Job = "b", "x" }), "Forbidden"},
		"the cluster changes later":        {"UPDATE", "", raw(t, nil), raw(t, func(j *prowv1.ProwJob) { j.Spec.Cluster = "b" }), "Forbidden"},
		"the status sub-resource":          {"UPDATE", "status", runtime.RawExtension{}, runtime.RawExtension{}, ""},
		"a job is made":                    {"CREATE", "", runtime.RawExtension{}, raw(t, nil), ""},
		"something else is made":           {"CREATE", "", runtime.RawExtension{}, runtime.RawExtension{Raw: []byte(`{"spec":{"jib":1}}`)}, "BadRequest"},
		"the new object is missing":        {"UPDATE", "", raw(t, nil), runtime.RawExtension{}, "BadRequest"},
		"the old object is missing":        {"UPDATE", "", runtime.RawExtension{}, raw(t, nil), "BadRequest"},
		"a job is deleted (no new object)": {"DELETE", "", raw(t, nil), runtime.RawExtension{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Judge(nil, &admissionv1.AdmissionRequest{Operation: tc.operation, SubResource: tc.sub, Object: tc.new, OldObject: tc.old})
			if err != nil {
				t.Fatal(err)
			}
			if got.Allowed != (tc.want == "") || got.Result != nil && got.Result.Reason != tc.want {
				t.Errorf("got %+v, want %q", got, tc.want)
			}
		})
	}
}

func TestReviews(t *testing.T) {
	server := httptest.NewServer(Handler(Judge, slog.New(slog.DiscardHandler)))
	defer server.Close()
	request := admissionv1.AdmissionRequest{UID: "u-1", Operation: "UPDATE", OldObject: raw(t, nil), Object: raw(t, func(j *prowv1.ProwJob) { j.Spec.Job = "x" })}
	ask := func(contentType string, body []byte) (int, string) {
		resp, err := http.Post(server.URL, contentType, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for _, version := range []string{"v1", "v1beta1"} {
		review := admissionv1.AdmissionReview{TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/" + version, Kind: "AdmissionReview"}, Request: &request}
		body, err := json.Marshal(review)
		if err != nil {
			t.Fatal(err)
		}
		code, text := ask("application/json", body)
		var answer admissionv1.AdmissionReview
		if err := json.Unmarshal([]byte(text), &answer); err != nil || code != 200 {
			t.Fatalf("%d %s: %v", code, text, err)
		}
		if answer.TypeMeta != review.TypeMeta || answer.Request != nil || answer.Response.UID != "u-1" || answer.Response.Allowed || answer.Response.Result.Reason != "Forbidden" {
			t.Errorf("%s: %s", version, text)
		}
	}
	for name, tc := range map[string]struct{ contentType, body, want string }{
		"another content type": {"text/plain", "{}", "content type"},
		"a parameter":          {"application/json; charset=utf-8", "{}", "content type"},
		"no JSON":              {"application/json", "{", "decode the review"},
		"no review":            {"application/json", `{"apiVersion":"v1","kind":"Pod"}`, "expected an AdmissionReview"},
		"no request":           {"application/json", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, "no request"},
		"too much":             {"application/json", strings.Repeat(" ", maxReview+1), "too large"},
	} {
		if code, text := ask(tc.contentType, []byte(tc.body)); code != 400 || !strings.Contains(text, tc.want) {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 405 {
		t.Errorf("GET: %d", resp.StatusCode)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"spec":{"job":"x"}}`))
	f.Add([]byte(`{"spec":{"job":"x"}} {}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if job, err := Decode(b); err == nil && !MayBecome(job, job.DeepCopy()) {
			t.Errorf("%q may not stay as it is", b)
		}
	})
}
