package deck

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	v1 "prow/api/prowjobs/v1"
)

// pregenerated is a directory with data that stands for a cluster, with which pages are
// tried out. Its file prowjobs.json holds a list of ProwJobs; everything else in it is
// served under its name.
type pregenerated string

// maxPregenerated bounds the list, in bytes.
const maxPregenerated = 256 << 20

// fill puts the ProwJobs of the directory into the index.
func (dir pregenerated) fill(x *index) error {
	path := filepath.Join(string(dir), "prowjobs.json")
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxPregenerated {
		err = fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxPregenerated)
	}
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(path)
	}
	var list v1.ProwJobList
	if err == nil {
		err = json.Unmarshal(raw, &list)
	}
	if err != nil {
		return fmt.Errorf("--pregenerated-data: the list of ProwJobs: %w", err)
	}
	for i := range list.Items {
		pj := &list.Items[i]
		if pj.Name == "" {
			return fmt.Errorf("--pregenerated-data: ProwJob %d of %s has no name", i, path)
		}
		body, err := packBody(pj)
		if err != nil {
			return fmt.Errorf("--pregenerated-data: ProwJob %s: %w", pj.Name, err)
		}
		x.put(entryOf(pj), body)
	}
	return nil
}

// handler serves the other files. They are data of whoever made them, not pages of this site.
func (dir pregenerated) handler() http.Handler {
	served := http.FileServerFS(os.DirFS(string(dir)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		noStore(w)
		w.Header().Set("Content-Security-Policy", artifactPolicy)
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "application/javascript")
		}
		served.ServeHTTP(w, r)
	})
}
