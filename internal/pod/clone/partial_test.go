package clone

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
)

// TestPartialClonesFetchLess measures what crosses the network. The repository
// has files in two directories, each of which changed several times.
func TestPartialClonesFetchLess(t *testing.T) {
	s := newServer(t)
	work := s.repository(t, "org/big.git", map[string]string{"Makefile": "all:\n", "cmd/main.go": "package main\n", "docs/README": noise(1)})
	for i := range 20 {
		s.commit(t, work, "change", map[string]string{"docs/README": noise(2 * i), "data/a": noise(2*i + 1), "data/deep/b": noise(3 * i), "cmd/deep/x.go": "package deep\n"})
	}
	s.run(t, work, "checkout", "-q", "-b", "pull")
	s.commit(t, work, "pull", map[string]string{"cmd/main.go": "package main // changed\n"})
	pull := s.run(t, work, "rev-parse", "HEAD")
	s.run(t, work, "checkout", "-q", "main")
	s.commit(t, work, "moved on", map[string]string{"docs/x": "x"})
	s.run(t, work, "push", "-q", s.dir+"/root/org/big.git", "main", "pull:refs/pull/1/head")
	refs := v1.Refs{Org: "org", Repo: "big", RepoLink: s.url + "/org/big", PathAlias: "big", BaseRef: "main", Pulls: []v1.Pull{{Number: 1, SHA: pull}}}

	clone := func(t *testing.T, change func(*v1.Refs)) (bytes int64, record artifacts.CloneRecord, files []string) {
		r := refs
		change(&r)
		var dir string
		bytes = s.bytes(func() {
			var records []artifacts.CloneRecord
			records, dir = s.clone(t, nil, r)
			record = records[1]
		})
		if record.Failed {
			t.Fatal(record.Message)
		}
		err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if entry.Name() == ".git" {
				return filepath.SkipDir
			}
			if !entry.IsDir() {
				files = append(files, strings.TrimPrefix(path, dir+"/"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return bytes, record, files
	}
	all, whole, everything := clone(t, func(*v1.Refs) {})
	yes := true
	for sentence, c := range map[string]struct {
		change func(*v1.Refs)
		files  []string
		// least is how many times less than all has to be fetched.
		least int64
	}{
		"without the blobs of the past": {func(r *v1.Refs) { r.BloblessFetch = &yes }, everything, 4},
		"the last commits only":         {func(r *v1.Refs) { r.CloneDepth, r.SkipFetchHead = 3, true }, everything, 4},
		"some files":                    {func(r *v1.Refs) { r.SparseCheckoutFiles = []string{"Makefile"} }, []string{"Makefile"}, 20},
		"some directories":              {func(r *v1.Refs) { r.SparseCheckout = []string{"cmd/"} }, []string{"Makefile", "cmd/deep/x.go", "cmd/main.go"}, 20},
		"a directory within one":        {func(r *v1.Refs) { r.SparseCheckout = []string{"data/deep"} }, []string{"Makefile", "data/a", "data/deep/b"}, 4},
	} {
		t.Run(sentence, func(t *testing.T) {
			bytes, record, files := clone(t, c.change)
			t.Logf("%d bytes, the whole clone is %d", bytes, all)
			if bytes*c.least > all {
				t.Errorf("%d bytes were fetched; the whole clone is %d", bytes, all)
			}
			if !slices.Equal(files, c.files) {
				t.Errorf("work tree: %v, want %v", files, c.files)
			}
			if record.FinalSHA != whole.FinalSHA {
				t.Errorf("HEAD is %s, that of a whole clone %s", record.FinalSHA, whole.FinalSHA)
			}
		})
	}
}
