package deck

import (
	"errors"
	"fmt"
	"strings"

	"prow/internal/config"
	"prow/internal/storage"
)

// errRefused tells that a bucket or a name in it is not to be shown.
var errRefused = errors.New("this is not a place whose content is shown")

// place is an object or a directory in a bucket that may be shown.
type place struct {
	// provider is the scheme; bucket the name, or for file the absolute directory.
	provider, bucket, key string
}

// bucketURL is what an Opener takes.
func (p place) bucketURL() string { return p.provider + "://" + p.bucket }

// path is the place in URLs of this program.
func (p place) path() string {
	return p.provider + "/" + strings.Trim(p.bucket, "/") + "/" + p.key
}

func (p place) at(key string) place {
	p.key = key
	return p
}

// parsePlace reads "<provider>/<bucket>/<key>". The bucket must be allowed: those of
// a forge of objects as the configuration says, directories of this machine only if
// the configuration names them.
func parsePlace(cfg *config.Config, path string) (place, error) {
	provider, rest, ok := strings.Cut(strings.TrimSuffix(path, "/"), "/")
	if !ok || provider == "" {
		return place{}, fmt.Errorf("%w: it needs a provider, a bucket and a path", errRefused)
	}
	if provider == "gcs" { // the older spelling
		provider = "gs"
	}
	out := place{provider: provider}
	if provider == "file" {
		out.bucket, out.key, ok = directoryOf(cfg, "/"+rest)
		if !ok {
			return place{}, fmt.Errorf("%w: no directory of the configuration holds it", errRefused)
		}
	} else {
		out.bucket, out.key, _ = strings.Cut(rest, "/")
		if target, ok := cfg.Deck.Spyglass.BucketAliases[out.bucket]; ok {
			out.bucket = target
		}
		if err := cfg.ValidateStorageBucket(out.bucket); err != nil {
			return place{}, fmt.Errorf("%w: %w", errRefused, err)
		}
	}
	if err := storage.CheckKey(out.key); err != nil {
		return place{}, fmt.Errorf("%w: %w", errRefused, err)
	}
	for element := range strings.SplitSeq(out.key, "/") {
		// What the storage keeps for itself begins with a dot.
		if provider == "file" && (strings.HasPrefix(element, ".attrs.") || strings.HasPrefix(element, ".tmp.")) {
			return place{}, fmt.Errorf("%w: the name is reserved", errRefused)
		}
	}
	return out, nil
}

// directoryOf finds the innermost directory of the configuration that holds path.
func directoryOf(cfg *config.Config, path string) (dir, key string, ok bool) {
	for _, bucket := range cfg.StorageBuckets() {
		bucket = strings.TrimRight(bucket, "/")
		if !strings.HasPrefix(bucket, "/") || len(bucket) <= len(dir) {
			continue
		}
		if rest, inside := strings.CutPrefix(path, bucket+"/"); inside {
			dir, key, ok = bucket, rest, true
		}
	}
	return dir, key, ok
}

// runDir is the directory of a run, as a key names it.
type runDir struct {
	// dir is the directory, rest what follows it in the key.
	dir, rest  string
	job, build string
	// org_repo as one word, and the number of the pull request; empty where the path
	// does not say.
	repo, pull string
}

// parseRunDir finds the directory of a run in a key. Only what lies in one is shown.
func parseRunDir(key string) (runDir, error) {
	parts := strings.Split(key, "/")
	for i, part := range parts {
		var at int // where job and build stand
		var out runDir
		rest := parts[i+1:]
		switch {
		case part == "logs":
			at = 0
		case part == "pr-logs" && len(rest) > 1 && rest[0] == "pull" && rest[1] == "batch":
			at = 2
		case part == "pr-logs" && len(rest) > 2 && rest[0] == "pull" && isNumber(rest[2]):
			at, out.repo, out.pull = 3, rest[1], rest[2]
		case part == "pr-logs" && len(rest) > 1 && rest[0] == "pull" && isNumber(rest[1]):
			at, out.pull = 2, rest[1]
		default:
			continue
		}
		if len(rest) < at+2 {
			break
		}
		out.job, out.build = rest[at], rest[at+1]
		end := i + 1 + at + 2
		out.dir, out.rest = strings.Join(parts[:end], "/"), strings.Join(parts[end:], "/")
		return out, nil
	}
	return runDir{}, fmt.Errorf("%w: it is not in the directory of a run", errRefused)
}

// aliasOf recognises the object that leads to the run of a presubmit.
func aliasOf(key string) (string, bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 || parts[0] != "pr-logs" || parts[1] != "directory" {
		return "", false
	}
	return strings.TrimSuffix(key, ".txt") + ".txt", true
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
