package clone

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/options"
)

// mirrored makes a mirror of org/repo, and returns where mirrors are and where this is.
func (s *server) mirrored(t testing.TB) (dir, bare string) {
	t.Helper()
	dir = t.TempDir()
	bare, ok := mirrorOf(dir, s.url+"/org/repo.git")
	if !ok {
		t.Fatal("no place for a mirror")
	}
	s.run(t, s.dir, "clone", "-q", "--mirror", s.url+"/org/repo.git", bare)
	return dir, bare
}

// addBulk gives the repository something that is worth a mirror.
func (s *server) addBulk(t testing.TB) {
	t.Helper()
	work := filepath.Join(s.dir, "work")
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprint("bulk/", i)] = strings.Repeat(fmt.Sprintf("%x", i*7919), 50) + noise(i)
	}
	s.commit(t, work, "bulk", files)
	s.sha["main"] = s.run(t, work, "rev-parse", "main")
	s.run(t, work, "push", "-q", filepath.Join(s.dir, "root", "org", "repo.git"), "main")
}

// noise is 4 KiB that do not compress well, the same for every run.
func noise(seed int) string {
	b := make([]byte, 4096)
	x := uint32(seed + 1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return fmt.Sprintf("%x", b)
}

func mirrorStep(record artifacts.CloneRecord) artifacts.CloneCommand {
	for _, c := range record.Commands {
		if strings.HasPrefix(c.Command, "golang: copy the objects of the mirror") {
			return c
		}
	}
	return artifacts.CloneCommand{}
}

func TestAMirrorChangesNothingButTheBytes(t *testing.T) {
	s := newServer(t)
	s.addBulk(t)
	mirrors, bare := s.mirrored(t)
	// The mirror is behind by a commit.
	s.commit(t, filepath.Join(s.dir, "work"), "later", map[string]string{"later": "1"})
	s.sha["main"] = s.run(t, filepath.Join(s.dir, "work"), "rev-parse", "main")
	s.run(t, filepath.Join(s.dir, "work"), "push", "-q", filepath.Join(s.dir, "root", "org", "repo.git"), "main")

	refs := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]}, v1.Pull{Number: 2})
	state := func(dir string) string {
		return s.run(t, dir, "show-ref") + "\n" + s.run(t, dir, "status", "--porcelain") + s.run(t, dir, "log", "--format=%H %T %ct") + s.run(t, dir, "config", "--local", "--list")
	}
	var plain, mirrored string
	without := s.bytes(func() {
		records, dir := s.clone(t, nil, refs)
		if records[1].Failed {
			t.Fatal(records[1].Message)
		}
		plain = state(dir)
	})
	var dir string
	with := s.bytes(func() {
		var records []artifacts.CloneRecord
		records, dir = s.clone(t, func(o *options.Clone) { o.MirrorDir = mirrors }, refs)
		if records[1].Failed {
			t.Fatal(records[1].Message)
		}
		if step := mirrorStep(records[1]); !strings.Contains(step.Output, "bytes,") {
			t.Errorf("the mirror was not used: %+v", step)
		}
		mirrored = state(dir)
	})
	if plain != mirrored {
		t.Errorf("without a mirror:\n%s\nwith one:\n%s", plain, mirrored)
	}
	t.Logf("bytes from the server: %d without a mirror, %d with one", without, with)
	if with*10 > without {
		t.Errorf("%d bytes were fetched with a mirror, %d without", with, without)
	}
	// The mirror may go: nothing in the clone needs it.
	if err := os.RemoveAll(bare); err != nil {
		t.Fatal(err)
	}
	s.run(t, dir, "fsck", "--full", "--strict", "--no-dangling")
}

func TestAMirrorThatIsNotRightIsNotUsed(t *testing.T) {
	s := newServer(t)
	s.addBulk(t)
	refs := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]})
	want, _ := s.clone(t, nil, refs)
	pack := func(t *testing.T, bare, suffix string) string {
		files, err := filepath.Glob(filepath.Join(bare, "objects", "pack", "*"+suffix))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		if err := os.Chmod(files[0], 0o644); err != nil {
			t.Fatal(err)
		}
		return files[0]
	}
	flip := func(t *testing.T, file string, at int) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content[(at+len(content))%len(content)] ^= 1
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for sentence, c := range map[string]struct {
		spoil func(t *testing.T, bare string)
		says  string
	}{
		"there is none":              {func(t *testing.T, bare string) { _ = os.RemoveAll(bare) }, "There is no mirror"},
		"it is an empty directory":   {func(t *testing.T, bare string) { _ = os.RemoveAll(bare); _ = os.MkdirAll(bare, 0o755) }, "There is no mirror"},
		"it is an empty repository":  {func(t *testing.T, bare string) { _ = os.RemoveAll(bare); s.run(t, s.dir, "init", "-q", "--bare", bare) }, "it is empty"},
		"a bit of its pack flipped":  {func(t *testing.T, bare string) { flip(t, pack(t, bare, ".pack"), 500) }, "does not have its checksum"},
		"a bit of its index flipped": {func(t *testing.T, bare string) { flip(t, pack(t, bare, ".idx"), 500) }, "does not have its checksum"},
		"its pack is cut off":        {func(t *testing.T, bare string) { _ = os.Truncate(pack(t, bare, ".pack"), 1000) }, "does not have its checksum"},
		"its pack is empty":          {func(t *testing.T, bare string) { _ = os.Truncate(pack(t, bare, ".pack"), 0) }, "cut off"},
		"its pack is gone":           {func(t *testing.T, bare string) { _ = os.Remove(pack(t, bare, ".pack")) }, "no such file"},
		"its packs are gone":         {func(t *testing.T, bare string) { _ = os.RemoveAll(filepath.Join(bare, "objects", "pack")) }, "not used"},
		"its pack cannot be read":    {func(t *testing.T, bare string) { p := pack(t, bare, ".pack"); _ = os.Remove(p); _ = os.Mkdir(p, 0o755) }, "not used"},
		"it is shallow":              {func(t *testing.T, bare string) { _ = os.WriteFile(filepath.Join(bare, "shallow"), []byte("x"), 0o644) }, "not complete"},
		"it borrows its objects": {func(t *testing.T, bare string) {
			_ = os.WriteFile(filepath.Join(bare, "objects/info/alternates"), []byte("/x\n"), 0o644)
		}, "not complete"},
		"it is a partial clone":       {func(t *testing.T, bare string) { s.run(t, bare, "config", "remote.origin.promisor", "true") }, "remote.origin.promisor"},
		"it is of another format":     {func(t *testing.T, bare string) { s.run(t, bare, "config", "extensions.objectformat", "sha256") }, "not used"},
		"its configuration is broken": {func(t *testing.T, bare string) { _ = os.WriteFile(filepath.Join(bare, "config"), []byte("[[["), 0o644) }, "not used"},
		"a ref leads to nothing": {func(t *testing.T, bare string) {
			_ = os.WriteFile(filepath.Join(bare, "refs/heads/lost"), []byte(strings.Repeat("1", 40)+"\n"), 0o644)
		}, "not used"},
		"a loose object is damaged": {func(t *testing.T, bare string) {
			_ = os.MkdirAll(filepath.Join(bare, "objects/11"), 0o755)
			_ = os.WriteFile(filepath.Join(bare, "objects/11", strings.Repeat("1", 38)), []byte("x\x9c"), 0o644)
		}, "not used"},
		"it holds another repository": {func(t *testing.T, bare string) {
			_ = os.RemoveAll(bare)
			s.run(t, s.dir, "clone", "-q", "--mirror", s.another(t), bare)
		}, "bytes,"},
		"a part of its history is gone": {func(t *testing.T, bare string) {
			// All is in loose objects, one of which is then missing.
			p := pack(t, bare, ".pack")
			content, _ := os.ReadFile(p)
			for _, suffix := range []string{".pack", ".idx"} {
				_ = os.Remove(strings.TrimSuffix(p, ".pack") + suffix)
			}
			_ = os.Remove(strings.TrimSuffix(p, ".pack") + ".rev")
			if err := s.git.Pipe(t.Context(), bare, strings.NewReader(string(content)), discard, "unpack-objects", "-q"); err != nil {
				t.Fatal(err)
			}
			sha := s.run(t, bare, "rev-parse", s.sha["base"]+":dir/file")
			_ = os.Remove(filepath.Join(bare, "objects", sha[:2], sha[2:]))
		}, "it is not complete"},
	} {
		t.Run(sentence, func(t *testing.T) {
			mirrors, bare := s.mirrored(t)
			c.spoil(t, bare)
			records, dir := s.clone(t, func(o *options.Clone) { o.MirrorDir = mirrors }, refs)
			if records[1].Failed || records[1].FinalSHA != want[1].FinalSHA {
				t.Fatalf("final commit %s: %s", records[1].FinalSHA, records[1].Message)
			}
			if step := mirrorStep(records[1]); !strings.Contains(step.Output, c.says) || step.Error != "" {
				t.Errorf("the record says %+v, want %q", step, c.says)
			}
			s.run(t, dir, "fsck", "--full", "--no-dangling")
			if got := s.run(t, dir, "for-each-ref", mirrorRefs); got != "" {
				t.Errorf("refs are left behind:\n%s", got)
			}
		})
	}
}

func (s *server) another(t *testing.T) string {
	return s.repository(t, "org/another-"+filepath.Base(t.TempDir())+".git", map[string]string{"x": "y"})
}

func TestAMirrorMayBeUpdatedMeanwhile(t *testing.T) {
	s := newServer(t)
	s.addBulk(t)
	mirrors, bare := s.mirrored(t)
	done := make(chan struct{})
	ended := make(chan error)
	go func() {
		// Each turn replaces the packs, as gc does.
		for i := 0; ; i++ {
			select {
			case <-done:
				ended <- nil
				return
			default:
			}
			if _, err := s.git.Output(t.Context(), bare, "-c", "pack.window="+fmt.Sprint(i%5+1), "repack", "-q", "-a", "-d", "-f"); err != nil {
				ended <- err
				return
			}
		}
	}()
	refs := s.refs(v1.Pull{Number: 1, SHA: s.sha["1"]})
	for range 5 {
		records, dir := s.clone(t, func(o *options.Clone) { o.MirrorDir = mirrors }, refs)
		if records[1].Failed {
			t.Error(records[1].Message)
		}
		s.run(t, dir, "fsck", "--full", "--no-dangling")
	}
	close(done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestMirrorsAreForWholeClones(t *testing.T) {
	s := newServer(t)
	mirrors, _ := s.mirrored(t)
	yes := true
	for sentence, change := range map[string]func(*v1.Refs){
		"a shallow clone": func(r *v1.Refs) { r.CloneDepth = 1 },
		"no blobs":        func(r *v1.Refs) { r.BloblessFetch = &yes },
		"sparse files":    func(r *v1.Refs) { r.SparseCheckoutFiles = []string{"Makefile"} },
	} {
		refs := s.refs()
		change(&refs)
		records, _ := s.clone(t, func(o *options.Clone) { o.MirrorDir = mirrors }, refs)
		if records[1].Failed || mirrorStep(records[1]).Command != "" {
			t.Errorf("%s: %+v", sentence, records[1])
		}
	}
}

func TestPlacesOfMirrors(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/org/repo.git":        "/m/github.com/org/repo.git",
		"https://user@GitHub.com/org/Repo":       "/m/github.com/org/Repo.git",
		"https://host:8443/a/b/c.git/":           "/m/host:8443/a/b/c.git",
		"ssh://git@host/org/repo.git":            "/m/host/org/repo.git",
		"git@github.com:org/repo.git":            "/m/github.com/org/repo.git",
		"https://host/a/../../etc.git":           "",
		"https://host/.hidden/x.git":             "",
		"https://host//x.git":                    "/m/host/x.git",
		"/local/repo.git":                        "",
		"file:///local/repo.git":                 "",
		"https://host/a\\b.git":                  "",
		"https://host/" + url.PathEscape("../x"): "",
	} {
		got, ok := mirrorOf("/m", address)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
