package deck

import (
	"net/http"
	"strings"
	"testing"

	v1 "prow/api/prowjobs/v1"
)

func TestSearchesAreFilters(t *testing.T) {
	for text, want := range map[string]filter{
		"":                                  {},
		"  ":                                {},
		"repo:o/r":                          {Repo: "o/r"},
		"repo:o/r  state:failure":           {Repo: "o/r", State: "failure"},
		"job:unit-* author:ann pr:12":       {Job: "unit-*", Author: "ann", Pull: "12"},
		"pull:12 type:periodic":             {Pull: "12", Type: v1.PeriodicJob},
		"since:7d cluster:build01":          {Since: "7d", Cluster: "build01"},
		"unit":                              {Job: "*unit*"},
		`job:"a b" state:success`:           {Job: "a b", State: "success"},
		"since:2026-01-31T10:00:00Z":        {Since: "2026-01-31T10:00:00Z"},
		"repo:https://host/p":               {Repo: "https://host/p"},
		"\u00a0repo:o/r\u3000state:error\n": {Repo: "o/r", State: "error"},
	} {
		got, err := filter{}.search(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	if got, err := (filter{Repo: "o/r", State: "failure"}).search("repo:a/b"); err != nil || got != (filter{Repo: "a/b", State: "failure"}) {
		t.Errorf("the text goes before the fields: %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"colour:red":               "colour: cannot be searched for; expected repo",
		"state:green":              "state:green is no state",
		"type:cron":                "type:cron is no type",
		"repo:":                    "a value is missing",
		"repo:a repo:b":            "twice",
		`job:"a`:                   "not closed",
		strings.Repeat("a ", 1000): "too long",
	} {
		if _, err := (filter{}).search(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add(`repo:o/r job:"unit test" state:failure since:7d x`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := filter{}.search(text)
		if err != nil {
			return
		}
		if again := filterOf(got.values()); again != got {
			t.Errorf("%q is %+v, and by its address %+v", text, got, again)
		}
	})
}

func TestASearchLeadsToAnAddressThatStays(t *testing.T) {
	s := start(t, Options{}, "")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(query string) *http.Response {
		resp, err := client.Get(s.url + "/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	resp := get("q=repo%3Ao%2Fr+state%3Afailure&author=ann")
	if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || to != "?author=ann&repo=o%2Fr&state=failure" {
		t.Errorf("%d to %q", resp.StatusCode, to)
	}
	if resp := get("q=colour%3Ared"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%d", resp.StatusCode)
	}
}
