package deck

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/storage"
)

// errUnfinished tells that a run has left no result.
var errUnfinished = errors.New("it has no result")

// findRun makes the ProwJob of a run again from its files. Whoever may write there may
// have written anything: what it says about another place is refused, and what could run
// something, or let somebody run it, is left out.
func findRun(ctx context.Context, cfg *config.Config, bucket storage.Bucket, where place, dir runDir) (*v1.ProwJob, error) {
	var finished artifacts.Finished
	if err := readFile(ctx, bucket, where.key+"/"+artifacts.FinishedFile, &finished); errors.Is(err, fs.ErrNotExist) {
		return nil, errUnfinished
	} else if err != nil {
		return nil, err
	}
	var started artifacts.Started
	if err := readFile(ctx, bucket, where.key+"/"+artifacts.StartedFile, &started); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var stored v1.ProwJob
	err := readFile(ctx, bucket, where.key+"/"+artifacts.ProwJobFile, &stored)
	var pj *v1.ProwJob
	switch {
	case err == nil:
		pj, err = trustedPart(&stored, dir)
	case errors.Is(err, fs.ErrNotExist):
		pj, err = guessedJob(cfg, dir, &started), nil
	}
	if err != nil {
		return nil, err
	}
	if pj.Name == "" {
		sum := sha256.Sum256([]byte(where.path()))
		pj.Name = "found-" + hex.EncodeToString(sum[:16])
	}
	pj.Status.BuildID = dir.build
	if pj.Status.StartTime.IsZero() {
		pj.Status.StartTime = metav1.Unix(started.Timestamp, 0)
	}
	if !pj.Complete() || pj.Status.CompletionTime.IsZero() {
		end := metav1.Unix(finished.Timestamp, 0)
		pj.Status.CompletionTime = &end
		pj.Status.State = storedState(finished)
	}
	return pj, placed(pj, where)
}

func readFile(ctx context.Context, bucket storage.Bucket, key string, into any) error {
	body, err := storage.ReadAll(ctx, bucket, key, maxMetadata)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key[strings.LastIndexByte(key, '/')+1:], err)
	}
	return nil
}

// trustedPart is what is taken over of a ProwJob in storage.
func trustedPart(stored *v1.ProwJob, dir runDir) (*v1.ProwJob, error) {
	if stored.Spec.Job != dir.job || stored.Status.BuildID != "" && stored.Status.BuildID != dir.build {
		return nil, fmt.Errorf("%s is that of another run, %q %q", artifacts.ProwJobFile, stored.Spec.Job, stored.Status.BuildID)
	}
	s := &stored.Spec
	out := &v1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: stored.Name, CreationTimestamp: stored.CreationTimestamp, Annotations: map[string]string{originAnnotation: originStored}},
		Spec: v1.ProwJobSpec{
			Type: s.Type, Agent: s.Agent, Cluster: s.Cluster, Job: s.Job, Refs: s.Refs, ExtraRefs: s.ExtraRefs, Context: s.Context, Hidden: s.Hidden,
			ProwJobDefault: s.ProwJobDefault, DecorationConfig: s.DecorationConfig,
		},
		Status: v1.ProwJobStatus{
			StartTime: stored.Status.StartTime, PendingTime: stored.Status.PendingTime, CompletionTime: stored.Status.CompletionTime,
			State: stored.Status.State, Description: stored.Status.Description, URL: stored.Status.URL,
		},
	}
	if len(validation.IsDNS1123Subdomain(out.Name)) > 0 {
		out.Name = ""
	}
	if !knownState(out.Status.State) {
		out.Status.CompletionTime = nil
	}
	return out, nil
}

// guessedJob is a ProwJob as the path and started.json tell.
func guessedJob(cfg *config.Config, dir runDir, started *artifacts.Started) *v1.ProwJob {
	out := &v1.ProwJob{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{originAnnotation: originGuessed + dir.repo}}}
	out.Spec.Job, out.Spec.Type, out.Spec.Agent = dir.job, v1.PeriodicJob, v1.KubernetesAgent
	inPulls := strings.Contains("/"+dir.dir, "/pr-logs/pull/")
	number, _ := strconv.Atoi(dir.pull)
	switch {
	case inPulls && dir.pull == "":
		out.Spec.Type = v1.BatchJob
	case inPulls:
		out.Spec.Type = v1.PresubmitJob
	case len(started.Repos) > 0 && !slices.ContainsFunc(cfg.Periodics, func(p config.Periodic) bool { return p.Name == dir.job }):
		out.Spec.Type = v1.PostsubmitJob
	}
	var all []v1.Refs
	for full, text := range started.Repos {
		org, repo := splitRepo(full)
		refs := parseRefs(text)
		refs.Org, refs.Repo = org, repo
		all = append(all, refs)
	}
	// The one that was tested first, then by name.
	slices.SortFunc(all, func(a, b v1.Refs) int {
		if tested := len(b.Pulls) - len(a.Pulls); tested != 0 {
			return tested
		}
		return strings.Compare(a.OrgRepoString(), b.OrgRepoString())
	})
	if out.Spec.Type != v1.PeriodicJob && len(all) > 0 {
		out.Spec.Refs, all = &all[0], all[1:]
	}
	out.Spec.ExtraRefs = all
	if out.Spec.Type == v1.PresubmitJob {
		if out.Spec.Refs == nil {
			org, repo, _ := strings.Cut(dir.repo, "_")
			out.Spec.Refs = &v1.Refs{Org: org, Repo: repo}
		}
		if len(out.Spec.Refs.Pulls) == 0 || out.Spec.Refs.Pulls[0].Number != number {
			out.Spec.Refs.Pulls = []v1.Pull{{Number: number}}
		}
	}
	return out
}

// parseRefs reads the form of v1.Refs.String; what cannot be read is left out.
func parseRefs(text string) (out v1.Refs) {
	base, rest, _ := strings.Cut(text, ",")
	out.BaseRef, out.BaseSHA, _ = strings.Cut(base, ":")
	for part := range strings.SplitSeq(rest, ",") {
		fields := strings.SplitN(part, ":", 3)
		n, err := strconv.Atoi(fields[0])
		if err != nil || len(fields) < 2 {
			continue
		}
		out.Pulls = append(out.Pulls, v1.Pull{Number: n, SHA: fields[1]})
	}
	return out
}

// placed makes a ProwJob say that its files are where they were found, which may be
// another bucket than they were written to. It must be possible for it.
func placed(pj *v1.ProwJob, where place) error {
	var own v1.GCSConfiguration
	if d := pj.Spec.DecorationConfig; d != nil && d.GCSConfiguration != nil {
		own = *d.GCSConfiguration
	}
	forms := []v1.GCSConfiguration{own, {PathStrategy: v1.PathStrategyExplicit}}
	if refs := pj.Spec.Refs; refs != nil {
		forms = append(forms,
			v1.GCSConfiguration{PathStrategy: v1.PathStrategySingle, DefaultOrg: refs.Org, DefaultRepo: refs.Repo},
			v1.GCSConfiguration{PathStrategy: v1.PathStrategyLegacy, DefaultOrg: refs.Org})
	}
	for _, form := range forms {
		base, err := artifacts.JobBasePath(&form, artifacts.RunOf(pj))
		prefix, fits := strings.CutSuffix("/"+where.key, "/"+base)
		if err != nil || !fits {
			continue
		}
		pj.Spec.DecorationConfig = &v1.DecorationConfig{GCSConfiguration: &v1.GCSConfiguration{
			Bucket: where.bucketURL(), PathPrefix: strings.TrimPrefix(prefix, "/"), PathStrategy: form.PathStrategy, DefaultOrg: form.DefaultOrg, DefaultRepo: form.DefaultRepo,
		}}
		return nil
	}
	return fmt.Errorf("%s says that its files are elsewhere", artifacts.ProwJobFile)
}
