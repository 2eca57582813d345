// Package metadata is the lens that says in a sentence how a run went, gives a hint
// where the cluster kept it from starting, and shows what was noted about it.
package metadata

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"path"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
	"prow/internal/deck/lens/podfile"
)

//go:embed static
var static embed.FS

//go:embed metadata.html
var page string

const maxBytes = 4 << 20

type metadataLens struct{ page *template.Template }

// New is the lens.
func New() lens.Lens { return &metadataLens{look.Template("metadata", page)} }

func (l *metadataLens) About() lens.About {
	return lens.About{Name: "metadata", Title: "Metadata", HideTitle: true, Files: look.Files(static)}
}

// inputs are the files of a run; what is not there is nil.
type inputs struct {
	started, finished *record
	pod               *podfile.Info
	prowJob           *v1.ProwJob
	// unclear tells that there is a finished.json that cannot be read.
	unclear bool
}

func (l *metadataLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	var in inputs
	var problems []string
	for _, a := range r.Artifacts {
		var err error
		switch path.Base(a.Name()) {
		case artifacts.StartedFile:
			in.started, err = readRecord(ctx, a)
		case artifacts.FinishedFile:
			in.finished, err = readRecord(ctx, a)
			in.unclear = err != nil
		case artifacts.PodInfoFile:
			in.pod, err = podfile.Read(ctx, a)
		case artifacts.ProwJobFile:
			in.prowJob, err = podfile.ReadProwJob(ctx, a)
		}
		if err != nil {
			problems = append(problems, look.Problem(a, err))
		}
	}
	v := conclude(in, r.Now)
	v.Problems = problems
	return look.Execute(l.page, "page", v)
}

func readRecord(ctx context.Context, a lens.Artifact) (*record, error) {
	raw, err := lens.ReadAll(ctx, a, maxBytes)
	if err != nil {
		return nil, err
	}
	return parse(raw)
}

// Verdicts.
const (
	passed  = "passed"
	failed  = "failed"
	aborted = "was aborted"
	errored = "ended with an error"
	running = "is still running"
	unclear = "ended, it is not known how"
)

type view struct {
	Problems []string
	Start    time.Time
	Verdict  string
	Class    string
	Icon     string
	// Elapsed is until now where Running.
	Elapsed  time.Duration
	Timed    bool
	Running  bool
	Warning  string
	Hints    []string
	Node     string
	Facts    []fact
	MoreFact int
}

// conclude says how the run went.
func conclude(in inputs, now time.Time) *view {
	v := &view{Verdict: verdict(in)}
	v.Running = v.Verdict == running
	v.Class, v.Icon = map[string]string{passed: "passed", failed: "failed", errored: "error", running: "flaky", aborted: "skipped", unclear: "skipped"}[v.Verdict], map[string]string{passed: "✓", failed: "✗", errored: "!", running: "↻", aborted: "■", unclear: "?"}[v.Verdict]
	var started, finished map[string]any
	end := now
	if in.finished != nil {
		finished = in.finished.Metadata
		end = at(in.finished.Timestamp)
	} else if pj := in.prowJob; pj != nil && pj.Status.CompletionTime != nil {
		end = pj.Status.CompletionTime.Time
	} else if !v.Running {
		end = time.Time{}
	}
	if in.started != nil {
		started, v.Node = in.started.Metadata, in.started.Node
		v.Start = at(in.started.Timestamp)
	}
	if v.Timed = !v.Start.IsZero() && !end.IsZero(); v.Timed {
		v.Elapsed = end.Sub(v.Start).Round(time.Second)
	}
	if v.Elapsed < 0 {
		v.Warning = fmt.Sprintf("The run ended %s before it started (it took %s): something outside of Prow wrote when it was finished.", look.Took(-v.Elapsed), look.Took(v.Elapsed))
		v.Timed = false
	}
	v.Hints = hint(in.pod)
	if len(v.Hints) == 0 && v.Verdict == errored && in.prowJob.Status.Description != "" {
		v.Hints = []string{in.prowJob.Status.Description}
	}
	v.Facts, v.MoreFact = flatten(started, finished)
	return v
}

func verdict(in inputs) string {
	state := v1.ProwJobState("")
	if in.prowJob != nil {
		state = in.prowJob.Status.State
	}
	switch {
	case state == v1.ErrorState:
		return errored
	case in.finished != nil && in.finished.passed():
		return passed
	case in.finished != nil && in.finished.Result == artifacts.ResultAborted, state == v1.AbortedState:
		return aborted
	case in.finished != nil, state == v1.FailureState:
		return failed
	case state == v1.SuccessState:
		return passed
	case in.unclear:
		return unclear
	}
	return running
}
