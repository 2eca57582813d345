package podinfo

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
	"prow/internal/deck/lens/podfile"
)

func TestAbout(t *testing.T)  { lenstest.About(t, New(), "podinfo", "Job Pod Info", 20, false) }
func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

func TestTolerations(t *testing.T) {
	for want, text := range map[string]string{
		"every taint":           `{"operator":"Exists"}`,
		"a = b: NoSchedule":     `{"key":"a","value":"b","effect":"NoSchedule"}`,
		"a = b":                 `{"key":"a","operator":"Equal","value":"b"}`,
		"a: NoExecute for 300s": `{"key":"a","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}`,
	} {
		var got corev1.Toleration
		if err := json.Unmarshal([]byte(text), &got); err != nil || toleration(got) != want {
			t.Errorf("%s: got %s, %v", text, toleration(got), err)
		}
	}
}

func TestLinks(t *testing.T) {
	pod := &podfile.Info{Pod: &corev1.Pod{}}
	pod.Pod.Name, pod.Pod.Namespace = "p", "ns"
	for name, tc := range map[string]struct{ config, cluster, want, err string }{
		"of the cluster":            {`{"runner_configs":{"a":{"pod_link_template":"https://x/{{.Namespace}}/{{.Name}}"}}}`, "a", "https://x/ns/p", ""},
		"of no other cluster":       {`{"runner_configs":{"a":{"pod_link_template":"https://x"}}}`, "b", "", ""},
		"not without a cluster":     {`{"runner_configs":{"":{"pod_link_template":"https://x"}}}`, "", "", ""},
		"a template that is wrong":  {`{"runner_configs":{"a":{"pod_link_template":"{{"}}}`, "a", "", "runner_configs.a.pod_link_template: "},
		"a field that is not there": {`{"runner_configs":{"a":{"pod_link_template":"{{.Nope}}"}}}`, "a", "", "can't evaluate field Nope"},
		"an address that runs":      {`{"runner_configs":{"a":{"pod_link_template":"javascript:x"}}}`, "a", "", "makes no address of the web"},
	} {
		var c config
		if err := json.Unmarshal([]byte(tc.config), &c); err != nil {
			t.Fatal(err)
		}
		got, err := c.link(pod, tc.cluster)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func FuzzPodInfo(f *testing.F) {
	f.Add([]byte(`{"pod":{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","env":[{"name":"ENTRYPOINT_OPTIONS","value":"{}"}]}]},"status":{"containerStatuses":[{"name":"c","state":{"running":{}}}]}},"events":[{"series":{}}],"node":{}}`))
	f.Add([]byte(`{"pod":null,"events":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		run := lenstest.Texts(map[string]string{"podinfo.json": string(raw), "prowjob.json": `{"spec":{"cluster":"c"}}`})
		lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts(), Config: []byte(`{"runner_configs":{"c":{"pod_link_template":"https://x/{{.Name}}"}}}`)})
	})
}
