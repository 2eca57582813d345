package statusreconciler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"prow/internal/config"
	"prow/internal/storage"
)

// maxState bounds the file with the state. It may be a whole configuration.
const maxState = 256 << 20

// Job is what is compared of a presubmit.
type Job struct {
	Name       string `json:"name"`
	Context    string `json:"context,omitempty"`
	AlwaysRun  bool   `json:"always_run,omitempty"`
	Optional   bool   `json:"optional,omitempty"`
	SkipReport bool   `json:"skip_report,omitempty"`

	config.Brancher            `json:",inline"`
	config.RegexpChangeMatcher `json:",inline"`
}

// required tells whether a merge waits for the job.
func (j *Job) required() bool { return !j.Optional && !j.SkipReport }

// manual tells whether only a comment starts the job.
func (j *Job) manual() bool { return !j.AlwaysRun && !j.CouldRun() }

// State is the presubmits by repository ("org/repo"). Its form is a part of
// that of the configuration, so a file that holds all of one is read as well.
type State struct {
	Presubmits map[string][]Job `json:"presubmits"`
}

// stateOf is the state that a configuration stands for.
func stateOf(cfg *config.Config) *State {
	s := &State{Presubmits: map[string][]Job{}}
	for repo, jobs := range cfg.PresubmitsByRepo {
		if config.IsGerritOrg(repo) || strings.Count(repo, "/") != 1 {
			continue
		}
		list := make([]Job, 0, len(jobs))
		for i := range jobs {
			p := &jobs[i]
			j := Job{Name: p.Name, Context: p.Context, AlwaysRun: p.AlwaysRun, Optional: p.Optional, SkipReport: p.SkipReport}
			j.Brancher, j.RegexpChangeMatcher = p.Brancher, p.RegexpChangeMatcher
			list = append(list, j)
		}
		s.Presubmits[repo] = list
	}
	return s
}

// changed lists the repositories whose presubmits differ.
func changed(before, after *State) []string {
	var out []string
	repos := maps.Clone(before.Presubmits)
	maps.Copy(repos, after.Presubmits)
	for repo := range repos {
		if digest(before.Presubmits[repo]) != digest(after.Presubmits[repo]) {
			out = append(out, repo)
		}
	}
	slices.Sort(out)
	return out
}

// digest is equal for equal jobs.
func digest(jobs []Job) string {
	if len(jobs) == 0 {
		return ""
	}
	raw, err := yaml.Marshal(jobs)
	if err != nil { // strings and booleans can always be written
		return err.Error()
	}
	return string(raw)
}

// Keeper keeps the state between runs.
type Keeper interface {
	// Load returns nil where there is none yet.
	Load(ctx context.Context) (*State, error)
	Save(ctx context.Context, s *State) error
}

// blob keeps the state in storage or in a local file.
type blob struct {
	storage *storage.Opener
	bucket  string
	key     string
}

// newBlob reads a path: local, gs://, s3://.
func newBlob(opener *storage.Opener, path string) (*blob, error) {
	if !strings.Contains(path, "://") && !strings.HasPrefix(path, "/") {
		path = "./" + path
	}
	i := strings.LastIndex(path, "/")
	if i == len(path)-1 {
		return nil, fmt.Errorf("--status-path=%s is no file", path)
	}
	return &blob{storage: opener, bucket: path[:max(i, 1)], key: path[i+1:]}, nil
}

func (b *blob) Load(ctx context.Context) (s *State, err error) {
	bucket, err := b.storage.Open(ctx, b.bucket)
	if err != nil {
		return nil, fmt.Errorf("--status-path: %w", err)
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	raw, err := storage.ReadAll(ctx, bucket, b.key, maxState)
	if errors.Is(err, storage.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was dealt with: %w", err)
	}
	s = &State{}
	if err := yaml.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("read what was dealt with in %s/%s: %w", b.bucket, b.key, err)
	}
	if s.Presubmits == nil {
		s.Presubmits = map[string][]Job{}
	}
	return s, nil
}

func (b *blob) Save(ctx context.Context, s *State) (err error) {
	raw, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("write what was dealt with: %w", err)
	}
	bucket, err := b.storage.Open(ctx, b.bucket)
	if err != nil {
		return fmt.Errorf("--status-path: %w", err)
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	if err := bucket.Put(ctx, b.key, bytes.NewReader(raw), storage.PutOptions{ContentType: "application/yaml"}); err != nil {
		return fmt.Errorf("write what was dealt with: %w", err)
	}
	return nil
}

// memory keeps the state for as long as the process runs.
type memory struct{ state *State }

func (m *memory) Load(context.Context) (*State, error)   { return m.state, nil }
func (m *memory) Save(_ context.Context, s *State) error { m.state = s; return nil }
