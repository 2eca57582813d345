package refresh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/report"
)

const (
	// downloadLimit bounds the time of a download, and maxDownload its bytes.
	downloadLimit = 2 * time.Minute
	maxDownload   = 2 << 30
)

// pull names a pull request.
type pull struct {
	org, repo string
	number    int
}

// deck reads the list of jobs.
type deck struct {
	// address is that of deck, without a slash at its end.
	address string
	client  *http.Client
}

// jobsOf downloads the jobs and keeps those about a pull request alone. deck is asked
// for those of the repository; what it sends of others does not stay in memory.
func (d *deck) jobsOf(ctx context.Context, p pull) ([]prowv1.ProwJob, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	query := url.Values{"org": {p.org}, "repo": {p.repo}, "omit": {"annotations,decoration_config,pod_spec"}}
	address := d.address + "/prowjobs.js?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("downloading the jobs: %w", err)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("downloading the jobs: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("downloading the jobs from %s: %s", address, resp.Status)
	}
	jobs, err := readJobs(io.LimitReader(resp.Body, maxDownload), p.has)
	if err != nil {
		return nil, fmt.Errorf("reading the jobs of %s: %w", address, err)
	}
	return jobs, nil
}

// has tells whether a job is about the pull request alone.
func (p pull) has(pj *prowv1.ProwJob) bool {
	refs := pj.Spec.Refs
	return refs != nil && refs.Org == p.org && refs.Repo == p.repo && len(refs.Pulls) == 1 && refs.Pulls[0].Number == p.number
}

// readJobs reads {"items":[...]}, one job at a time.
func readJobs(r io.Reader, keep func(*prowv1.ProwJob) bool) ([]prowv1.ProwJob, error) {
	d := json.NewDecoder(r)
	if err := expect(d, json.Delim('{')); err != nil {
		return nil, err
	}
	var out []prowv1.ProwJob
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		if key != "items" {
			var ignored json.RawMessage
			if err := d.Decode(&ignored); err != nil {
				return nil, err
			}
			continue
		}
		if err := expect(d, json.Delim('[')); err != nil {
			return nil, err
		}
		for d.More() {
			var pj prowv1.ProwJob
			if err := d.Decode(&pj); err != nil {
				return nil, err
			}
			if keep(&pj) {
				out = append(out, pj)
			}
		}
		if err := expect(d, json.Delim(']')); err != nil {
			return nil, err
		}
	}
	return out, expect(d, json.Delim('}'))
}

func expect(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err == nil && got != want {
		err = fmt.Errorf("found %v, expected %v", got, want)
	}
	return err
}

// choose are the jobs to report: of the presubmits that report and ran on the head,
// the newest of each, by name.
func choose(jobs []prowv1.ProwJob, head string) []*prowv1.ProwJob {
	newest := map[string]*prowv1.ProwJob{}
	for i := range jobs {
		pj := &jobs[i]
		if pj.Spec.Type != prowv1.PresubmitJob || !pj.Spec.Report || pj.Spec.Refs.Pulls[0].SHA != head {
			continue
		}
		if have := newest[pj.Spec.Job]; have == nil || have.CreationTimestamp.Before(&pj.CreationTimestamp) {
			newest[pj.Spec.Job] = pj
		}
	}
	var out []*prowv1.ProwJob
	for _, pj := range newest {
		out = append(out, pj)
	}
	slices.SortFunc(out, func(a, b *prowv1.ProwJob) int { return strings.Compare(a.Spec.Job, b.Spec.Job) })
	return out
}

// reader answers the questions of the reporter from the jobs that were downloaded.
type reader []prowv1.ProwJob

var errUnsupported = errors.New("only ProwJobs are known")

// Get finds a job by its name.
func (r reader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	pj, ok := into.(*prowv1.ProwJob)
	if !ok {
		return errUnsupported
	}
	for i := range r {
		if r[i].Name == key.Name && r[i].Namespace == key.Namespace {
			r[i].DeepCopyInto(pj)
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Group: prowv1.SchemeGroupVersion.Group, Resource: "prowjobs"}, key.Name)
}

// List lists the jobs, by namespace and subject if asked for.
func (r reader) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	list, ok := into.(*prowv1.ProwJobList)
	if !ok {
		return errUnsupported
	}
	var asked client.ListOptions
	asked.ApplyOptions(opts)
	subject, bySubject := "", false
	if asked.FieldSelector != nil {
		subject, bySubject = asked.FieldSelector.RequiresExactMatch(report.SubjectIndex)
	}
	list.Items = nil
	for i := range r {
		if (asked.Namespace == "" || asked.Namespace == r[i].Namespace) && (!bySubject || report.Subject(&r[i].Spec) == subject) {
			list.Items = append(list.Items, r[i])
		}
	}
	return nil
}
