package deck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/history"
	"prow/internal/storage"
)

const (
	// buildReaders is how many builds a page reads at the same time.
	buildReaders = 16
	// listTimeout bounds the search for builds; what is found until then is shown.
	listTimeout = 10 * time.Second
	// readTimeout bounds the reading of the builds of a page.
	readTimeout = 20 * time.Second
	// maxBuilds bounds how many builds of a job are counted.
	maxBuilds = 200_000
	// maxKnownBuilds is how many finished builds are remembered.
	maxKnownBuilds = 4096
	// finalAfter is the age from which a result is taken for the last one.
	finalAfter = time.Hour
	// maxFacts bounds what is remembered about a build, in bytes.
	maxFacts = 16 << 10
	// maxAlias bounds the object that leads to a run, in bytes.
	maxAlias = 4095
)

// facts are what the files of a build say. They are shared and never changed.
type facts struct {
	// Started and Finished are nil where the file is missing or cannot be read.
	Started  *artifacts.Started
	Finished *artifacts.Finished
	// Job is what of the ProwJob matters; nil where the file is missing.
	Job *v1.ProwJob
	// Stamp tells the file of the result from others. Final facts are not looked at again.
	Stamp string
	Final bool
}

// knownBuilds remembers builds that have ended, by place.
type knownBuilds struct {
	mu    sync.Mutex
	known map[string]*facts
	order []string
}

func (k *knownBuilds) get(place string) *facts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[place]
}

func (k *knownBuilds) put(place string, f *facts) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = map[string]*facts{}
	}
	if _, ok := k.known[place]; !ok {
		if len(k.order) >= maxKnownBuilds {
			delete(k.known, k.order[0])
			k.order = k.order[1:]
		}
		k.order = append(k.order, place)
	}
	k.known[place] = f
}

// factsOf tells what the files of a build in a directory say. Those of a build that has
// ended are read once, and again if its result becomes another file in the first time.
func (s *server) factsOf(ctx context.Context, bucket storage.Bucket, dir place) *facts {
	known, key := s.builds.get(dir.path()), "facts "+dir.path()
	if known == nil {
		if recalled := (facts{}); s.memory.recall(ctx, key, &recalled) {
			known = &recalled
			s.builds.put(dir.path(), known)
		}
	}
	if known != nil && known.Final {
		return known
	}
	out := &facts{}
	if ended, err := bucket.Stat(ctx, dir.key+"/"+artifacts.FinishedFile); err == nil {
		out.Stamp = strconv.FormatInt(ended.Size, 10) + " " + strconv.FormatInt(ended.ModTime.UnixNano(), 10)
		out.Final = s.now().Sub(ended.ModTime) > finalAfter
		if known != nil && known.Stamp == out.Stamp {
			if out.Final {
				final := *known
				final.Final = true
				s.keepFacts(dir, &final)
			}
			return known
		}
	}
	complete := true
	read := func(name string, into any) bool {
		body, err := storage.ReadAll(ctx, bucket, dir.key+"/"+name, maxMetadata)
		if err == nil {
			err = json.Unmarshal(body, into)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			complete = false
			s.log.DebugContext(ctx, "a file of a build cannot be read", "place", dir.path(), "file", name, "error", err)
		}
		return err == nil
	}
	var started artifacts.Started
	if read(artifacts.StartedFile, &started) {
		started.Metadata = nil
		out.Started = &started
	}
	var finished artifacts.Finished
	if out.Stamp != "" && read(artifacts.FinishedFile, &finished) {
		finished.Metadata = nil
		out.Finished = &finished
	}
	var pj v1.ProwJob
	if read(artifacts.ProwJobFile, &pj) && pj.Spec.Job != "" {
		out.Job = &v1.ProwJob{Spec: v1.ProwJobSpec{
			Type: pj.Spec.Type, Job: pj.Spec.Job, Hidden: pj.Spec.Hidden, Refs: pj.Spec.Refs, ExtraRefs: pj.Spec.ExtraRefs, ProwJobDefault: pj.Spec.ProwJobDefault,
		}}
	}
	if out.Finished != nil && complete {
		s.keepFacts(dir, out)
	}
	return out
}

// keepFacts remembers facts, unless somebody has made them long.
func (s *server) keepFacts(dir place, f *facts) {
	if raw, err := json.Marshal(f); err != nil || len(raw) > maxFacts {
		return
	}
	s.builds.put(dir.path(), f)
	s.memory.remember("facts "+dir.path(), f, maxFacts)
}

// sees tells whether a build may be seen: as its ProwJob says, or without one as the
// configuration says about jobs of its name and its files about its repositories. word
// is the repository as its path has it, empty where it does not say.
func (s *server) sees(job, word string, f *facts) bool {
	if f.Job != nil {
		return s.canSee(f.Job)
	}
	sh := guessedShape(job, word, f.Started)
	return s.sight().decide(&sh)
}

// guessedShape is that of a run without ProwJob.
func guessedShape(job, word string, started *artifacts.Started) shape {
	pj := v1.ProwJob{Spec: v1.ProwJobSpec{Job: job}}
	if started != nil {
		for full := range started.Repos {
			if org, repo := splitRepo(full); repo != "" {
				pj.Spec.ExtraRefs = append(pj.Spec.ExtraRefs, v1.Refs{Org: org, Repo: repo})
			}
		}
	}
	sh := shapeOf(&pj)
	sh.origin = originGuessed + word
	return sh
}

// buildOf tells what facts say about a build.
func (s *server) buildOf(job string, id uint64, f *facts, pull int) history.Build {
	out := history.Build{ID: id, Job: job, Commit: commitOf(f, pull)}
	if f.Job != nil {
		out.Refs = f.Job.Spec.MainRefs()
	}
	if f.Started == nil {
		return out // nothing can be told without a beginning
	}
	out.Started = time.Unix(f.Started.Timestamp, 0)
	if f.Finished == nil {
		out.State = v1.PendingState
		out.Duration = max(s.now().Sub(out.Started).Round(time.Second), 0)
		return out
	}
	out.State = storedState(*f.Finished)
	out.Duration = max(time.Duration(f.Finished.Timestamp-f.Started.Timestamp)*time.Second, 0)
	return out
}

// pullForm is how started.json may name what was tested.
var pullForm = regexp.MustCompile(`^[^:]+:[0-9a-f]{40},([0-9]+):([0-9a-f]{40})`)

// commitOf is the commit that a build tested; empty where that is not known. pull is the
// pull request it is asked for, or 0.
func commitOf(f *facts, pull int) string {
	if f.Finished != nil && f.Finished.Revision != "" {
		return f.Finished.Revision
	}
	if f.Job != nil && f.Job.Spec.Refs != nil {
		for _, p := range f.Job.Spec.Refs.Pulls {
			if p.SHA != "" && (pull == 0 || p.Number == pull) {
				return p.SHA
			}
		}
		if len(f.Job.Spec.Refs.Pulls) == 0 {
			return f.Job.Spec.Refs.BaseSHA
		}
	}
	if f.Started == nil {
		return ""
	}
	if m := pullForm.FindStringSubmatch(f.Started.Pull); m != nil {
		return m[2]
	}
	if f.Started.Pull == "" {
		return ""
	}
	for _, refs := range f.Started.Repos {
		if _, rest, ok := strings.Cut(refs, ","+f.Started.Pull+":"); ok {
			sha, _, _ := strings.Cut(rest, ",")
			sha, _, _ = strings.Cut(sha, ":")
			return sha
		}
	}
	return ""
}

// listBuilds finds the ids of builds: directories, or objects with this ending, right
// below a directory. What is found when ctx ends is returned; more tells that there was
// more to find.
func listBuilds(ctx context.Context, bucket storage.Bucket, dir, ending string) (ids []uint64, more bool, err error) {
	return listBuildsFrom(ctx, bucket, dir, "", ending)
}

// listBuildsFrom is listBuilds of those whose numbers begin with some digits.
func listBuildsFrom(ctx context.Context, bucket storage.Bucket, dir, digits, ending string) (ids []uint64, more bool, err error) {
	prefix := dir + "/"
	for token := ""; ; {
		page, err := bucket.List(ctx, storage.ListOptions{Prefix: prefix + digits, Delimiter: "/", Token: token})
		if ctx.Err() != nil {
			return ids, true, nil
		}
		if err != nil {
			return ids, true, fmt.Errorf("listing %s: %w", dir, err)
		}
		for _, item := range page.Items {
			name, isBuild := strings.CutSuffix(strings.TrimPrefix(item.Key, prefix), ending)
			if !isBuild || item.IsDir != (ending == "/") || !isNumber(name) {
				continue
			}
			if id, err := strconv.ParseUint(name, 10, 64); err == nil && strconv.FormatUint(id, 10) == name {
				ids = append(ids, id)
			}
		}
		if page.Next == "" {
			return ids, false, nil
		}
		if len(ids) >= maxBuilds {
			return ids, true, nil
		}
		token = page.Next
	}
}
