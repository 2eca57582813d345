package clone

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

// batchOf publishes a repository with n pulls, each of a file of its own.
func (s *server) batchOf(t testing.TB, n int) v1.Refs {
	t.Helper()
	work := s.repository(t, "org/batch.git", map[string]string{"README": "hello\n"})
	base := s.run(t, work, "rev-parse", "HEAD")
	refs := v1.Refs{Org: "org", Repo: "batch", RepoLink: s.url + "/org/batch", PathAlias: "batch", BaseRef: "main", BaseSHA: base}
	for i := range n {
		s.run(t, work, "checkout", "-q", "--detach", base)
		s.commit(t, work, fmt.Sprint("pull ", i), map[string]string{fmt.Sprint("file", i): "content\n"})
		s.run(t, work, "update-ref", fmt.Sprintf("refs/pull/%d/head", i), "HEAD")
		refs.Pulls = append(refs.Pulls, v1.Pull{Number: i, SHA: s.run(t, work, "rev-parse", "HEAD")})
	}
	s.run(t, work, "push", "-q", "--force", s.dir+"/root/org/batch.git", "refs/pull/*:refs/pull/*")
	return refs
}

// oneByOne is the sequence with one fetch for each pull.
func (s *server) oneByOne(t testing.TB, dir string, refs v1.Refs) (head string) {
	t.Helper()
	address := refs.RepoLink + ".git"
	for _, args := range [][]string{
		{"init", "-q"}, {"config", "user.name", "ci-robot"}, {"config", "user.email", "ci-robot@k8s.io"},
		{"fetch", "-q", address, "--tags", "--prune"}, {"fetch", "-q", address, refs.BaseSHA},
		{"checkout", "-q", refs.BaseSHA}, {"branch", "--force", refs.BaseRef, refs.BaseSHA}, {"checkout", "-q", refs.BaseRef},
	} {
		s.run(t, dir, args...)
	}
	at := s.run(t, dir, "show", "-s", "--format=format:%ct", "HEAD")
	var seconds int64
	if _, err := fmt.Sscan(at, &seconds); err != nil {
		t.Fatal(err)
	}
	for i, pull := range refs.Pulls {
		what, commit := pullRef(pull), pull.SHA
		if commit == "" {
			commit = "FETCH_HEAD"
		}
		s.run(t, dir, "fetch", "-q", address, what)
		date := fmt.Sprintf("%d +0000", seconds+int64(i)+1)
		if _, err := s.git.WithEnv("GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date,
			"GIT_AUTHOR_NAME=ci-robot", "GIT_AUTHOR_EMAIL=ci-robot@k8s.io", "GIT_COMMITTER_NAME=ci-robot", "GIT_COMMITTER_EMAIL=ci-robot@k8s.io",
		).Output(t.Context(), dir, "merge", "-q", "--no-ff", commit); err != nil {
			t.Fatal(err)
		}
	}
	return s.run(t, dir, "rev-parse", "HEAD")
}

func fetches(record artifacts.CloneRecord) []string {
	var lines []string
	for line := range strings.SplitSeq(commands(record), "\n") {
		if strings.HasPrefix(line, "git fetch") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestABatchFetchedAtOnceIsTheSameAsOneByOne(t *testing.T) {
	s := newServer(t)
	all := s.batchOf(t, 20)
	byRef, mixed := all, all
	byRef.Pulls, mixed.Pulls = slices.Clone(all.Pulls[:3]), slices.Clone(all.Pulls[:5])
	for i := range byRef.Pulls {
		byRef.Pulls[i].Ref = fmt.Sprintf("refs/pull/%d/head", i)
	}
	mixed.Pulls[1].SHA, mixed.Pulls[4].SHA = "", ""
	single := all
	single.Pulls = all.Pulls[:1]
	for sentence, c := range map[string]struct {
		refs    v1.Refs
		fetches int // beside the two of the base
	}{
		"20 pulls by their commits":                    {all, 1},
		"pulls by their refs":                          {byRef, 1},
		"some pulls of which only the number is known": {mixed, 3},
		"one pull": {single, 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			records, _ := s.clone(t, nil, c.refs)
			if records[1].Failed {
				t.Fatalf("failed: %s", records[1].Message)
			}
			if want := s.oneByOne(t, t.TempDir(), c.refs); records[1].FinalSHA != want {
				t.Errorf("HEAD is %s, one by one it is %s", records[1].FinalSHA, want)
			}
			if got := fetches(records[1]); len(got) != 2+c.fetches {
				t.Errorf("fetches:\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

// BenchmarkBatchOf20 compares the fetch of all pulls at once with one for each,
// from a server on this machine.
func BenchmarkBatchOf20(b *testing.B) {
	s := newServer(b)
	refs := s.batchOf(b, 20)
	b.Run("at-once", func(b *testing.B) {
		for b.Loop() {
			if records, _ := s.clone(b, nil, refs); records[1].Failed {
				b.Fatal(records[1].Message)
			}
		}
	})
	b.Run("one-by-one", func(b *testing.B) {
		for b.Loop() {
			s.oneByOne(b, b.TempDir(), refs)
		}
	})
}
