package deck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/authorize"
	"prow/internal/deck/lens"
	"prow/internal/deck/signin"
	"prow/internal/deck/spyglass"
	"prow/internal/storage"
)

// errSource tells that an address names no run, whatever there is.
var errSource = errors.New("this is not the address of a run")

// errAlias tells that what should lead to a run does not.
var errAlias = errors.New("what leads to this run cannot be used")

// findRun finds the run that an address names; rest is what the address says beyond it. An
// object that leads to another directory is followed if asked.
func (s *server) findRun(ctx context.Context, text string, follow bool) (found run, rest string, err error) {
	src, err := spyglass.ParseSource(text)
	if err != nil {
		return run{}, "", fmt.Errorf("%w: %w", errSource, err)
	}
	if src.Job != "" {
		pj := s.index.run(src.Job, src.Build)
		if pj == nil || !s.canSee(pj) {
			return run{}, "", errNoLog
		}
		return s.runOf(pj), "", nil
	}
	where, err := parsePlace(s.config.Get(), src.Path)
	if err != nil {
		return run{}, "", err
	}
	if follow {
		if where, err = s.followed(ctx, where); err != nil {
			return run{}, "", err
		}
	}
	return s.resolve(ctx, where.path())
}

// followed is the place that the object "<key>.txt" leads to; the same place without one.
func (s *server) followed(ctx context.Context, where place) (place, error) {
	dir, err := parseRunDir(where.key)
	if err == nil && dir.rest != "" {
		return where, nil // a file of a run leads nowhere
	}
	if err == nil {
		if pj := s.index.run(dir.job, dir.build); pj != nil {
			if own, err := s.placeOf(pj); err == nil && *own == where {
				return where, nil
			}
		}
	}
	key := where.key + ".txt"
	if alias, ok := aliasOf(where.key); ok {
		key = alias
	}
	if storage.CheckKey(key) != nil {
		return where, nil
	}
	bucket, err := s.open(ctx, where)
	if err != nil {
		return where, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	attrs, err := bucket.Stat(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return where, nil
	case err != nil:
		return where, err
	case attrs.Size > spyglass.MaxAlias:
		return where, fmt.Errorf("%w: %s is longer than %d bytes", errAlias, key, spyglass.MaxAlias)
	}
	content, err := storage.ReadAll(ctx, bucket, key, spyglass.MaxAlias)
	if err != nil {
		return where, err
	}
	target, err := spyglass.ParseAlias(where.provider, string(content))
	if err != nil {
		return where, fmt.Errorf("%w: %s: %w", errAlias, key, err)
	}
	return parsePlace(s.config.Get(), target)
}

// maxCandidates is how many directories are looked at for the one of a run.
const maxCandidates = 12

// findRunDir finds the directory of a run in a key that follows no layout of Prow: the
// outermost one that has the files of a run.
func (s *server) findRunDir(ctx context.Context, where place) (runDir, error) {
	refused := fmt.Errorf("%w: it is not in the directory of a run", errRefused)
	parts := strings.Split(where.key, "/")
	if len(parts) < 2 || parts[0] == "pr-logs" && len(parts) > 1 && parts[1] == "directory" {
		return runDir{}, refused
	}
	bucket, err := s.open(ctx, where)
	if err != nil {
		return runDir{}, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	for n := 2; n <= len(parts) && n < 2+maxCandidates; n++ {
		dir := strings.Join(parts[:n], "/")
		for _, name := range []string{artifacts.StartedFile, artifacts.FinishedFile} {
			_, err := bucket.Stat(ctx, dir+"/"+name)
			if err == nil {
				return runDir{dir: dir, rest: strings.Join(parts[n:], "/"), job: parts[n-2], build: parts[n-1]}, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return runDir{}, err
			}
		}
	}
	return runDir{}, refused
}

// checkName tells what is wrong with the name of a file of a run.
func checkName(name string) error {
	if err := storage.CheckKey(name); err != nil {
		return err
	}
	for element := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(element, ".attrs.") || strings.HasPrefix(element, ".tmp.") {
			return fmt.Errorf("the name %q is reserved", name)
		}
	}
	return nil
}

// lensRun makes a run what lenses see of it.
func (s *server) lensRun(w http.ResponseWriter, r *http.Request, source string) (*lensRun, error) {
	found, rest, err := s.findRun(r.Context(), source, false)
	if err == nil && rest != "" {
		err = fmt.Errorf("%w: it names a file", errSource)
	}
	if err != nil {
		return nil, err
	}
	cfg := s.config.Get()
	limit := cfg.Deck.Spyglass.SizeLimit
	out := &lensRun{source: found.source(), check: checkName}
	out.names = func(ctx context.Context) []string { return s.filesOf(ctx, found).names }
	out.open = func(ctx context.Context, name string) (lens.Artifact, error) {
		if found.place != nil {
			o := &object{
				name: name, link: "artifacts/" + escapePath(found.place.path()+"/"+name), key: found.place.key + "/" + name, limit: limit,
				open: func(ctx context.Context) (storage.Bucket, error) { return s.open(ctx, *found.place) },
				address: func(ctx context.Context, b storage.Bucket) string {
					return s.addressOf(ctx, b, found.place.at(found.place.key+"/"+name))
				},
				may: func(ctx context.Context) error { return s.mayDescribe(ctx, r, found) },
			}
			err := o.find(ctx)
			if err == nil {
				return o, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				s.log.InfoContext(ctx, "an artifact cannot be read", "place", found.place.path(), "name", name, "error", err)
			}
		}
		if log := s.podLogOf(found, name, limit); log != nil {
			return log, nil
		}
		return nil, errNoLog
	}
	org, repo := s.repoOf(r.Context(), found)
	bucket := ""
	if found.place != nil {
		bucket = strings.Trim(found.place.bucket, "/")
	}
	out.browserPrefix = cfg.Deck.Spyglass.BrowserPrefix(org, repo, bucket)
	return out, nil
}

// repoOf is the repository that a run is about; empty where that is not known.
func (s *server) repoOf(_ context.Context, r run) (org, repo string) {
	if r.pj != nil {
		if refs := r.pj.Spec.MainRefs(); refs != nil {
			return refs.Org, refs.Repo
		}
		return "", ""
	}
	if org, repo, ok := strings.Cut(r.repo, "_"); ok {
		return org, repo
	}
	return "", ""
}

// mayDescribe tells whether the visitor may change what everybody sees of a run: whoever
// may run the job again, and is signed in where people can be.
func (s *server) mayDescribe(ctx context.Context, r *http.Request, found run) error {
	if r.Method != http.MethodPost {
		return lens.ErrNotAllowed // other sites can make a browser send anything else
	}
	pj := found.pj
	if pj == nil {
		pj = &v1.ProwJob{}
		if found.place == nil || s.readJSON(ctx, found.place.at(found.place.key+"/"+artifacts.ProwJobFile), pj) != nil {
			return lens.ErrNotAllowed
		}
		// What a run tells of itself says who may not, but not that anybody may.
		pj.Spec.RerunAuthConfig = nil
	}
	if s.access.sign == nil {
		if !s.access.decide.Anyone(&pj.Spec) {
			return lens.ErrNotAllowed
		}
		s.audit(r, "describe", pj, "", authorize.Verdict{Allowed: true, Reason: "anyone may"})
		return nil
	}
	who, err := s.access.sign.Who(ctx, r)
	if errors.Is(err, signin.ErrNotSignedIn) {
		return lens.ErrNotAllowed
	}
	if err != nil {
		return fmt.Errorf("who asks cannot be told: %w", err)
	}
	verdict, err := s.access.decide.May(ctx, authorize.Rerun, &pj.Spec, who)
	if err != nil {
		return fmt.Errorf("whether %s may do that cannot be told: %w", who.Name, err)
	}
	s.audit(r, "describe", pj, who.Name, verdict)
	if !verdict.Allowed {
		return lens.ErrNotAllowed
	}
	return nil
}
