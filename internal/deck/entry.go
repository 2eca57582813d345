package deck

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/store"
)

// entry is what the index has of a run in memory: what runs are listed, filtered and
// counted by. It is never changed. What it says beyond that is its body.
type entry struct {
	name, build string
	shape       unique.Handle[shape]
	state       unique.Handle[v1.ProwJobState]
	pull        pullOf
	// more are the other pull requests of a batch.
	more *[]pullOf
	// start and end are Unix seconds; end is 0 while the run has not ended.
	start, end int64
	// version tells contents apart.
	version uint64
}

// pullOf is a pull request that is tested; its number is 0 where there is none.
type pullOf struct {
	number int
	author unique.Handle[string]
}

// shape is what many runs have in common, and what decides who sees them: of a hundred
// thousand runs there are a few thousand shapes, and each is looked at once.
type shape struct {
	job, cluster, tenant string
	kind                 v1.ProwJobType
	hidden               bool
	// repos has a line for each repository, org and repo with a tab between them; the
	// first one is that of spec.refs if hasRefs.
	repos   string
	hasRefs bool
	// origin is empty for what the cluster told, see originAnnotation.
	origin string
}

// originAnnotation marks ProwJobs that were made again from storage. Whoever may write
// there may have made them up, so they cannot be run again. The value is originStored,
// or originGuessed and the repository as one word where there was no ProwJob in storage:
// then the configuration decides who sees it, too.
const (
	originAnnotation = "prow.k8s.io/found-in-storage"
	originStored     = "prowjob"
	originGuessed    = "files:"
)

// foundInStorage tells that a ProwJob was made again from storage.
func foundInStorage(pj *v1.ProwJob) bool { return pj.Annotations[originAnnotation] != "" }

// guessed tells that a shape follows from files and paths, and returns the repository as
// the path has it.
func (s *shape) guessed() (word string, ok bool) { return strings.CutPrefix(s.origin, originGuessed) }

// mainRepo is the repository that a run is about; empty without one.
func (s *shape) mainRepo() (org, repo string) {
	first, _, _ := strings.Cut(s.repos, "\n")
	org, repo, _ = strings.Cut(first, "\t")
	return org, repo
}

// each calls do for the repositories until it returns false.
func (s *shape) each(do func(org, repo string) bool) {
	for line := range strings.Lines(s.repos) {
		org, repo, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !do(org, repo) {
			return
		}
	}
}

// about compares exactly; an empty org or repo matches everything. Extra refs count only
// without refs.
func (s *shape) about(org, repo string) bool {
	isOrg, isRepo := org == "", repo == ""
	s.each(func(o, r string) bool {
		isOrg, isRepo = isOrg || o == org, isRepo || r == repo
		return !s.hasRefs
	})
	return isOrg && isRepo
}

var separators = strings.NewReplacer("\t", " ", "\n", " ")

func repoLines(refs *v1.Refs, extra []v1.Refs) string {
	var b strings.Builder
	add := func(r *v1.Refs) { b.WriteString(separators.Replace(r.Org) + "\t" + separators.Replace(r.Repo) + "\n") }
	if refs != nil {
		add(refs)
	}
	for i := range extra {
		add(&extra[i])
	}
	return b.String()
}

func shapeOf(pj *v1.ProwJob) shape {
	out := shape{
		job: pj.Spec.Job, cluster: pj.ClusterAlias(), kind: pj.Spec.Type, hidden: pj.Spec.Hidden,
		repos: repoLines(pj.Spec.Refs, pj.Spec.ExtraRefs), hasRefs: pj.Spec.Refs != nil, origin: pj.Annotations[originAnnotation],
	}
	if d := pj.Spec.ProwJobDefault; d != nil {
		out.tenant = d.TenantID
	}
	return out
}

// entryOf is the entry of a ProwJob.
func entryOf(pj *v1.ProwJob) *entry {
	out := &entry{
		name: strings.Clone(pj.Name), build: strings.Clone(pj.Status.BuildID), shape: unique.Make(shapeOf(pj)), state: unique.Make(pj.Status.State),
		start: pj.Status.StartTime.Unix(), version: versionOf(pj),
	}
	if end := pj.Status.CompletionTime; end != nil {
		out.end = max(end.Unix(), 1)
	}
	if pj.Spec.Refs != nil {
		var pulls []pullOf
		for _, p := range pj.Spec.Refs.Pulls {
			pulls = append(pulls, pullOf{p.Number, unique.Make(p.Author)})
		}
		out.setPulls(pulls)
	}
	return out
}

// versionOf tells apart what a ProwJob was at different times.
func versionOf(pj *v1.ProwJob) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, string(pj.UID)+"\x00"+pj.ResourceVersion+"\x00"+string(pj.Status.State)+"\x00"+pj.Status.BuildID)
	return h.Sum64()
}

func (e *entry) setPulls(pulls []pullOf) {
	if len(pulls) > 0 {
		e.pull = pulls[0]
	}
	if len(pulls) > 1 {
		more := pulls[1:]
		e.more = &more
	}
}

// entryOfRow is the entry of a run in the store.
func entryOfRow(r *store.Run) *entry {
	sh := shape{job: r.Job, cluster: r.Cluster, tenant: r.Tenant, kind: v1.ProwJobType(r.Type), hidden: r.Hidden, hasRefs: r.HasRefs, origin: r.Origin}
	var lines strings.Builder
	for _, repo := range r.Repos {
		lines.WriteString(repo.Org + "\t" + repo.Repo + "\n")
	}
	sh.repos = lines.String()
	out := &entry{
		name: r.Name, build: r.Build, shape: unique.Make(sh), state: unique.Make(v1.ProwJobState(r.State)),
		start: r.Started.Unix(), end: max(r.Completed.Unix(), 1), version: r.Version,
	}
	pulls := make([]pullOf, len(r.Pulls))
	for i, p := range r.Pulls {
		pulls[i] = pullOf{p.Number, unique.Make(p.Author)}
	}
	out.setPulls(pulls)
	return out
}

// row is the run as the store keeps it.
func (e *entry) row(place string, body []byte) store.Run {
	sh := e.shape.Value()
	out := store.Run{
		Name: e.name, Job: sh.job, Build: e.build, Type: string(sh.kind), State: string(e.state.Value()), Cluster: sh.cluster, Tenant: sh.tenant, Hidden: sh.hidden,
		Origin: sh.origin, HasRefs: sh.hasRefs, Started: time.Unix(e.start, 0), Completed: time.Unix(e.end, 0), Place: place, Version: e.version, Body: body,
	}
	sh.each(func(org, repo string) bool {
		out.Repos = append(out.Repos, store.Repo{Org: org, Repo: repo})
		return true
	})
	e.eachPull(func(p pullOf) bool {
		out.Pulls = append(out.Pulls, store.Pull{Number: p.number, Author: p.author.Value()})
		return true
	})
	return out
}

// eachPull calls do for the pull requests until it returns false.
func (e *entry) eachPull(do func(pullOf) bool) {
	if e.pull == (pullOf{}) || !do(e.pull) || e.more == nil {
		return
	}
	for _, p := range *e.more {
		if !do(p) {
			return
		}
	}
}

// tests tells whether some pull request meets a condition.
func (e *entry) tests(meets func(pullOf) bool) (found bool) {
	e.eachPull(func(p pullOf) bool {
		found = meets(p)
		return !found
	})
	return found
}

func (e *entry) complete() bool { return e.end != 0 }

// position is where an entry stands in lists.
func (e *entry) position() position { return position{e.start, e.shape.Value().job, e.name} }

// before orders by start, then job, then name, the newest first.
func (e *entry) compare(f *entry) int {
	if e.start != f.start {
		return cmp.Compare(f.start, e.start)
	}
	return e.position().compare(f.position())
}

// sketch is the ProwJob as far as an entry knows it, for when its body cannot be read.
func (e *entry) sketch() *v1.ProwJob {
	sh := e.shape.Value()
	pj := &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: e.name},
		Spec:       v1.ProwJobSpec{Type: sh.kind, Job: sh.job, Cluster: sh.cluster, Hidden: sh.hidden},
		Status:     v1.ProwJobStatus{StartTime: metav1.Unix(e.start, 0), State: e.state.Value(), BuildID: e.build},
	}
	if sh.origin != "" {
		pj.Annotations = map[string]string{originAnnotation: sh.origin}
	}
	if sh.tenant != "" {
		pj.Spec.ProwJobDefault = &v1.ProwJobDefault{TenantID: sh.tenant}
	}
	sh.each(func(org, repo string) bool {
		pj.Spec.ExtraRefs = append(pj.Spec.ExtraRefs, v1.Refs{Org: org, Repo: repo})
		return true
	})
	if sh.hasRefs && len(pj.Spec.ExtraRefs) > 0 {
		pj.Spec.Refs, pj.Spec.ExtraRefs = &pj.Spec.ExtraRefs[0], pj.Spec.ExtraRefs[1:]
		e.eachPull(func(p pullOf) bool {
			pj.Spec.Refs.Pulls = append(pj.Spec.Refs.Pulls, v1.Pull{Number: p.number, Author: p.author.Value()})
			return true
		})
	}
	if e.complete() {
		end := metav1.Unix(e.end, 0)
		pj.Status.CompletionTime = &end
	}
	return pj
}

// maxBody bounds a body that is unpacked, in bytes. The API server takes smaller objects only.
const maxBody = 8 << 20

// deflaters are used again: each needs several hundred KB.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a valid one
	}
	return w
}}

// packBody is a ProwJob as bodies are kept: JSON without managed fields, compressed, after
// the same without the pod, which is most of it and is of no use in lists. The length of
// the first part stands before it.
func packBody(pj *v1.ProwJob) ([]byte, error) {
	lean := reduced(pj, nil)
	whole, err := json.Marshal(lean)
	if err != nil {
		return nil, err
	}
	lean.Spec.PodSpec = nil
	head, err := json.Marshal(lean)
	if err != nil {
		return nil, err
	}
	head = pack(head)
	return slices.Concat(binary.AppendUvarint(nil, uint64(len(head))), head, pack(whole)), nil
}

// headOf and wholeOf are the JSON of the two parts of a body.
func headOf(body []byte) ([]byte, error) {
	head, _, err := parts(body)
	if err != nil {
		return nil, err
	}
	return unpack(head)
}

func wholeOf(body []byte) ([]byte, error) {
	_, whole, err := parts(body)
	if err != nil {
		return nil, err
	}
	return unpack(whole)
}

func parts(body []byte) (head, whole []byte, err error) {
	length, n := binary.Uvarint(body)
	if n <= 0 || length > uint64(len(body)-n) {
		return nil, nil, errors.New("it is not the body of a run")
	}
	return body[n : n+int(length)], body[n+int(length):], nil
}

func pack(raw []byte) []byte {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	_, _ = w.Write(raw) // a buffer takes everything
	_ = w.Close()
	return bytes.Clone(out.Bytes())
}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

func unpack(body []byte) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(body), nil); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err == nil && len(raw) > maxBody {
		err = fmt.Errorf("it is longer than %d bytes", maxBody)
	}
	return raw, err
}

// unpackBody is the opposite of packBody; without the pod if only the head is wanted.
func unpackBody(body []byte, headOnly bool) (*v1.ProwJob, error) {
	read := wholeOf
	if headOnly {
		read = headOf
	}
	raw, err := read(body)
	if err != nil {
		return nil, err
	}
	pj := &v1.ProwJob{}
	return pj, json.Unmarshal(raw, pj)
}
