package clone

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/options"
)

func TestClassify(t *testing.T) {
	for output, want := range map[string]struct {
		reason string
		tries  int
	}{
		"fatal: couldn't find remote ref x": {artifacts.CloneNotFound, quickly},
		"fatal: remote error: upload-pack: not our ref 00\nfatal: the remote end hung up unexpectedly":         {artifacts.CloneNotFound, quickly},
		"remote: Repository not found.\nfatal: repository 'https://github.com/a/b.git/' not found":             {artifacts.CloneNotFound, quickly},
		"ERROR: Repository not found.\nfatal: Could not read from remote repository.":                          {artifacts.CloneNotFound, quickly},
		"fatal: Authentication failed for 'https://github.com/a/b.git/'":                                       {artifacts.CloneUnauthorized, quickly},
		"git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.":        {artifacts.CloneUnauthorized, quickly},
		"fatal: unable to access 'https://h/': The requested URL returned error: 403":                          {artifacts.CloneUnauthorized, quickly},
		"Host key verification failed.\nfatal: Could not read from remote repository.":                         {artifacts.CloneUnauthorized, onceOnly},
		"fatal: transport 'ext' not allowed":                                                                   {artifacts.CloneInvalid, onceOnly},
		"fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output\nearly EOF": {artifacts.CloneError, onceOnly},
		"fatal: unable to access 'https://h/': The requested URL returned error: 429":                          {artifacts.CloneUnavailable, patiently},
		"fatal: unable to access 'https://h/': The requested URL returned error: 502":                          {artifacts.CloneUnavailable, patiently},
		"error: RPC failed; HTTP 504 curl 22 The requested URL returned error: 504\nfatal: early EOF":          {artifacts.CloneUnavailable, patiently},
		"fatal: unable to access 'https://h/': Could not resolve host: h":                                      {artifacts.CloneUnavailable, patiently},
		"error: RPC failed; curl 18 transfer closed\nfetch-pack: unexpected disconnect while reading sideband": {artifacts.CloneUnavailable, patiently},
		"fatal: something that nobody has seen":                                                                {artifacts.CloneError, patiently},
		"":                                                                                                     {artifacts.CloneError, patiently},
	} {
		if reason, tries := classify(output); reason != want.reason || tries != want.tries {
			t.Errorf("%q: %s, %d tries; want %s, %d", output, reason, tries, want.reason, want.tries)
		}
	}
}

func TestWhatStaysIsNotWaitedFor(t *testing.T) {
	s := newServer(t)
	for sentence, c := range map[string]struct {
		change func(*v1.Refs)
		answer int
		reason string
		waited time.Duration
	}{
		"a branch that does not exist":      {func(r *v1.Refs) { r.BaseRef, r.BaseSHA = "missing", "" }, 0, artifacts.CloneNotFound, 1500 * time.Millisecond},
		"a commit that does not exist":      {func(r *v1.Refs) { r.BaseSHA = strings.Repeat("0", 39) + "1" }, 0, artifacts.CloneNotFound, 1500 * time.Millisecond},
		"a repository that does not exist":  {func(r *v1.Refs) { r.RepoLink += "x" }, 0, artifacts.CloneNotFound, 1500 * time.Millisecond},
		"a transport that is not allowed":   {func(r *v1.Refs) { r.CloneURI = "ext::sh -c true" }, 0, artifacts.CloneInvalid, 0},
		"credentials that are missing":      {func(r *v1.Refs) { r.RepoLink = strings.Replace(r.RepoLink, "/org/", "/private/org/", 1) }, 0, artifacts.CloneUnauthorized, 1500 * time.Millisecond},
		"a host that forbids it":            {func(*v1.Refs) {}, http.StatusForbidden, artifacts.CloneUnauthorized, 1500 * time.Millisecond},
		"a host that is down":               {func(*v1.Refs) {}, http.StatusBadGateway, artifacts.CloneUnavailable, 63500 * time.Millisecond},
		"a host that has had enough of us":  {func(*v1.Refs) {}, http.StatusTooManyRequests, artifacts.CloneUnavailable, 63500 * time.Millisecond},
		"a host that is there no more":      {func(r *v1.Refs) { r.RepoLink = "http://127.0.0.1:1/org/repo" }, 0, artifacts.CloneUnavailable, 63500 * time.Millisecond},
		"a host that comes back after that": {func(*v1.Refs) {}, -1, "", 300 * time.Millisecond},
	} {
		t.Run(sentence, func(t *testing.T) {
			refused := 0
			s.refuse(func(*http.Request) int {
				if c.answer == -1 {
					if refused++; refused <= 2 {
						return http.StatusServiceUnavailable
					}
					return 0
				}
				return c.answer
			})
			defer s.refuse(nil)
			refs := s.refs()
			c.change(&refs)
			dir := t.TempDir()
			cloner := New(&options.Clone{SrcRoot: dir, Log: filepath.Join(dir, "log"), Refs: []v1.Refs{refs}}, os.Environ(), slog.New(slog.DiscardHandler))
			var waited time.Duration
			cloner.wait = func(_ context.Context, d time.Duration) error { waited += d; return nil }
			record := cloner.clone(t.Context())[1]
			if record.Reason != c.reason || record.Failed != (c.reason != "") || waited != c.waited {
				t.Errorf("reason %q (%s) after %s; want %q after %s", record.Reason, record.Message, waited, c.reason, c.waited)
			}
			if (record.Message == "") == record.Failed {
				t.Errorf("message: %q", record.Message)
			}
		})
	}
}

func TestAConflictIsToldApart(t *testing.T) {
	s := newServer(t)
	records, _ := s.clone(t, nil, s.refs(v1.Pull{Number: 2, SHA: s.sha["2"]}, v1.Pull{Number: 1, SHA: s.sha["1"]}, v1.Pull{Number: 3, SHA: s.sha["3"]}))
	want := "pull request 3 (" + s.sha["3"][:10] + ") does not merge into main (" + s.sha["main"][:10] + ") with 2, 1: conflicts in 1.txt"
	if got := records[1]; !got.Failed || got.Reason != artifacts.CloneConflict || got.Message != want {
		t.Errorf("%s: %s; want %s", got.Reason, got.Message, want)
	}
	// A commit that the ref does not hold is no conflict.
	records, _ = s.clone(t, nil, s.refs(v1.Pull{Number: 2, Ref: "refs/pull/2/head", SHA: strings.Repeat("1", 40)}))
	if got := records[1]; !got.Failed || got.Reason != artifacts.CloneNotFound || !strings.Contains(got.Message, "does not hold the commit") {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
}

func TestAShallowCloneThatCannotMergeSaysWhy(t *testing.T) {
	s := newServer(t)
	work := s.repository(t, "org/deep.git", map[string]string{"a": "1"})
	s.run(t, work, "checkout", "-q", "-b", "pull")
	s.commit(t, work, "pull", map[string]string{"b": "1"})
	pull := s.run(t, work, "rev-parse", "HEAD")
	s.run(t, work, "checkout", "-q", "main")
	for _, n := range []string{"2", "3", "4"} {
		s.commit(t, work, n, map[string]string{"a": n})
	}
	s.run(t, work, "push", "-q", s.dir+"/root/org/deep.git", "main", "pull")
	refs := v1.Refs{Org: "org", Repo: "deep", RepoLink: s.url + "/org/deep", BaseRef: "main", CloneDepth: 1, SkipFetchHead: true, Pulls: []v1.Pull{{Number: 1, SHA: pull}}}
	records, _ := s.clone(t, nil, refs)
	if got := records[1]; got.Failed && !strings.Contains(got.Message, "clone_depth 1") {
		t.Errorf("%s: %s", got.Reason, got.Message)
	} else if !got.Failed {
		t.Error("the histories are not connected, but were merged")
	}
}

func TestLongOutputKeepsItsEnds(t *testing.T) {
	b := &boundedBuffer{}
	_, _ = b.Write([]byte("begin\n"))
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 5000 {
		_, _ = b.Write(line)
	}
	_, _ = b.Write([]byte("end\n"))
	got := b.String()
	if !strings.HasPrefix(got, "begin\n") || !strings.HasSuffix(got, "end\n") || !strings.Contains(got, "bytes are left out here") || len(got) > maxRecordedOutput+100 {
		t.Errorf("%d bytes: %.20s … %s", len(got), got, got[len(got)-20:])
	}
}
