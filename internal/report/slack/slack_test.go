package slack

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/report"
	"prow/internal/secret"
)

func load(t *testing.T, yaml string) func() *config.Config {
	t.Helper()
	opts := config.DefaultOptions()
	opts.ConfigPath = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(opts.ConfigPath, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return func() *config.Config { return cfg }
}

const global = `slack_reporter_configs:
  '*': {channel: all, job_types_to_report: [periodic], job_states_to_report: [failure, error]}
  o: {channel: org, job_types_to_report: [presubmit], job_states_to_report: [failure], host: other}
  o/quiet: {channel: quiet, job_types_to_report: [presubmit], job_states_to_report: [failure], report: false}
`

func job(typ prowv1.ProwJobType, refs *prowv1.Refs, state prowv1.ProwJobState, own *prowv1.SlackReporterConfig) *prowv1.ProwJob {
	j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{Type: typ, Job: "j", Refs: refs}}
	j.Status.State, j.Status.URL = state, "https://prow/1"
	if own != nil {
		j.Spec.ReporterConfig = &prowv1.ReporterConfig{Slack: own}
	}
	return j
}

func TestProbe30AndOtherDecisions(t *testing.T) {
	off := false
	refs, quiet := &prowv1.Refs{Org: "o", Repo: "r"}, &prowv1.Refs{Org: "o", Repo: "quiet"}
	r := &Reporter{Config: load(t, global)}
	for name, tc := range map[string]struct {
		job  *prowv1.ProwJob
		want bool
	}{
		"a listed type and state":                                     {job("periodic", nil, "failure", nil), true},
		"a state that is not listed":                                  {job("periodic", nil, "success", nil), false},
		"a type that is not listed":                                   {job("batch", nil, "failure", nil), false},
		"the entry of the org, not joined with that of all":           {job("presubmit", refs, "error", nil), false},
		"the entry of the org":                                        {job("presubmit", refs, "failure", nil), true},
		"an entry that is switched off":                               {job("presubmit", quiet, "failure", nil), false},
		"a job that is switched off, as an empty list of states does": {job("periodic", nil, "failure", &prowv1.SlackReporterConfig{Report: &off}), false},
		"a job with a channel, though its type is not listed":         {job("batch", nil, "failure", &prowv1.SlackReporterConfig{Channel: "c"}), true},
		"a job with states of its own":                                {job("periodic", nil, "success", &prowv1.SlackReporterConfig{JobStatesToReport: []prowv1.ProwJobState{"success"}}), true},
		"a job of the repository of its first extra refs": {&prowv1.ProwJob{Spec: prowv1.ProwJobSpec{Type: "presubmit", ExtraRefs: []prowv1.Refs{*refs}},
			Status: prowv1.ProwJobStatus{State: "failure"}}, true},
	} {
		if got := r.ShouldReport(t.Context(), tc.job); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if (&Reporter{Config: load(t, "")}).ShouldReport(t.Context(), job("periodic", nil, "failure", nil)) {
		t.Error("a report without configuration")
	}
}

// workspace is a Slack that takes messages.
type workspace struct {
	forms   []url.Values
	tokens  []string
	code    int
	answer  string
	blocked chan struct{}
}

func (w *workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if w.blocked != nil {
		<-w.blocked
	}
	_ = r.ParseForm()
	w.forms, w.tokens = append(w.forms, r.PostForm), append(w.tokens, r.Header.Get("Authorization"))
	rw.WriteHeader(w.code)
	_, _ = rw.Write([]byte(w.answer))
}

func TestMessages(t *testing.T) {
	w := &workspace{code: 200, answer: `{"ok":true}`}
	server := httptest.NewServer(w)
	defer server.Close()
	token := secret.New("first")
	c := &Client{Token: func() secret.Value { return token }, URL: server.URL, HTTP: NewHTTPClient()}
	r := &Reporter{Config: load(t, global), Hosts: map[string]Messenger{DefaultHost: c}}
	j := job("periodic", nil, "failure", nil)
	if _, _, err := r.Report(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	form := w.forms[0]
	if form.Get("channel") != "all" || form.Get("username") != "prow" || form.Get("icon_emoji") != ":prow:" || w.tokens[0] != "Bearer first" ||
		form.Get("text") != "Job j of type periodic ended with state failure. <https://prow/1|View logs>" {
		t.Errorf("message %v", form)
	}
	token = secret.New("rotated")
	for name, tc := range map[string]struct {
		code      int
		answer    string
		permanent bool
		want      string
	}{
		"a refusal that may pass":     {200, `{"ok":false,"error":"ratelimited"}`, false, "send to Slack channel all: message refused: ratelimited"},
		"a channel that is not there": {200, `{"ok":false,"error":"channel_not_found"}`, true, "send to Slack channel all: "},
		"an answer that is no JSON":   {200, `<html>`, false, `"<html>"`},
		"a status":                    {503, `{"ok":true}`, false, "status 503"},
	} {
		w.code, w.answer = tc.code, tc.answer
		_, _, err := r.Report(t.Context(), j)
		if err == nil || report.IsUserError(err) != tc.permanent || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.tokens[1] != "Bearer rotated" {
		t.Errorf("token %s", w.tokens[1])
	}
	for name, own := range map[string]*prowv1.SlackReporterConfig{
		"an unknown host":                {Host: "nowhere"},
		"a template that does not parse": {ReportTemplate: "{{"},
		"a template that fails":          {ReportTemplate: "{{.Spec.Refs.Org}}"},
		"a template without end":         {ReportTemplate: `{{range $i, $e := (slice (printf "%100000s" "x") 0)}}{{end}}{{printf "%100000s" "x"}}`},
	} {
		if _, _, err := r.Report(t.Context(), job("periodic", nil, "failure", own)); !report.IsUserError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASlackThatHangsEndsWithTheLimit(t *testing.T) {
	w := &workspace{code: 200, answer: `{"ok":true}`, blocked: make(chan struct{})}
	server := httptest.NewServer(w)
	defer server.Close()
	defer close(w.blocked)
	c := &Client{Token: func() secret.Value { return secret.New("t") }, URL: server.URL, HTTP: &http.Client{Timeout: 20 * time.Millisecond}}
	if err := c.Send(t.Context(), "c", "x"); err == nil {
		t.Error("no error")
	}
	if NewHTTPClient().Timeout == 0 {
		t.Error("the client has no limit")
	}
}
