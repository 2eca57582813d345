package deck

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
)

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,63}$`)

// writeData writes JSON, or a script that assigns it where the parameter var is given.
func (s *server) writeData(w http.ResponseWriter, r *http.Request, body func(io.Writer) error) {
	name := r.URL.Query().Get("var")
	if name != "" && !identifier.MatchString(name) {
		http.Error(w, "the parameter var must be an identifier of JavaScript", http.StatusBadRequest)
		return
	}
	noStore(w)
	if name == "" {
		w.Header().Set("Content-Type", "application/json")
	} else {
		w.Header().Set("Content-Type", "application/javascript")
		_, _ = io.WriteString(w, "var "+name+" = ")
	}
	if err := body(w); err != nil {
		s.log.InfoContext(r.Context(), "a response was not finished", "path", r.URL.Path, "error", err)
		return
	}
	if name != "" {
		_, _ = io.WriteString(w, ";")
	}
}

func jsonBody(value any) func(io.Writer) error {
	return func(w io.Writer) error {
		body, err := json.Marshal(value)
		if err != nil {
			return err
		}
		_, err = w.Write(body)
		return err
	}
}

func queryTag(r *http.Request) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, r.URL.RawQuery)
	return strconv.FormatUint(h.Sum64(), 36)
}

// prowJobsJS serves the ProwJobs that are in the cluster as they are.
func (s *server) prowJobsJS(w http.ResponseWriter, r *http.Request) {
	if s.tagged(w, r, queryTag(r)) {
		return
	}
	q := r.URL.Query()
	org, repo, owner := q.Get("org"), q.Get("repo"), q.Get("owner")
	omit := map[string]bool{}
	for word := range strings.SplitSeq(q.Get("omit"), ",") {
		omit[word] = true
	}
	asTheyAre := !omit["annotations"] && !omit["labels"] && !omit["decoration_config"] && !omit["pod_spec"]
	shown := decider(func(h unique.Handle[shape]) bool {
		sh := h.Value()
		return s.sight().of(h) && sh.about(org, repo)
	})
	s.writeData(w, r, func(w io.Writer) error {
		if _, err := io.WriteString(w, `{"items":[`); err != nil {
			return err
		}
		separator := ""
		err := s.eachInCluster(r.Context(), func(e *entry) bool { return shown(e.shape) && (owner == "" || e.tests(byAuthor(owner))) }, wholeOf, func(raw []byte) error {
			if !asTheyAre {
				raw = withoutOmitted(raw, omit)
			}
			if _, err := io.WriteString(w, separator); err != nil {
				return err
			}
			separator = ","
			_, err := w.Write(raw)
			return err
		})
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "]}")
		return err
	})
}

// byAuthor compares exactly.
func byAuthor(author string) func(pullOf) bool {
	of := unique.Make(author)
	return func(p pullOf) bool { return p.author == of }
}

// streamPart is how many ProwJobs are in memory at once while all are sent.
const streamPart = 64

// eachInCluster calls do with the JSON of the ProwJobs that are in the cluster and meet a
// condition, newest first, or with the part of it that is wanted. It holds few of them at once, and no lock while do works.
func (s *server) eachInCluster(ctx context.Context, meets func(*entry) bool, part func(body []byte) ([]byte, error), do func(raw []byte) error) error {
	var after *position
	for {
		some := s.index.inCluster(after, streamPart, meets)
		for i, body := range s.index.packed(ctx, some) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if body == nil {
				s.log.InfoContext(ctx, "a ProwJob is left out of a list, because it cannot be read", "prowjob", some[i].name)
				continue
			}
			raw, err := part(body)
			if err == nil {
				err = do(raw)
			}
			if err != nil {
				return err
			}
		}
		if len(some) < streamPart {
			return nil
		}
		last := some[len(some)-1].position()
		after = &last
	}
}

// withoutOmitted is a ProwJob as JSON without what is omitted.
func withoutOmitted(raw []byte, omit map[string]bool) []byte {
	pj := &v1.ProwJob{}
	err := json.Unmarshal(raw, pj)
	if err == nil {
		raw, err = json.Marshal(reduced(pj, omit))
	}
	if err != nil {
		return []byte("{}")
	}
	return raw
}

// reduced is a ProwJob without what is omitted; the original stays as it is.
func reduced(pj *v1.ProwJob, omit map[string]bool) *v1.ProwJob {
	out := *pj
	out.ManagedFields = nil
	if omit["annotations"] {
		out.Annotations = nil
	}
	if omit["labels"] {
		out.Labels = nil
	}
	if omit["decoration_config"] {
		out.Spec.DecorationConfig = nil
	}
	if omit["pod_spec"] && out.Spec.PodSpec != nil {
		// Only how many containers there are stays.
		out.Spec.PodSpec = &corev1.PodSpec{Containers: make([]corev1.Container, len(pj.Spec.PodSpec.Containers))}
	}
	return &out
}

// legacyJob is an item of /data.js.
type legacyJob struct {
	Type        string   `json:"type"`
	Refs        *v1.Refs `json:"refs,omitempty"`
	RefsKey     string   `json:"refs_key"`
	Job         string   `json:"job"`
	BuildID     string   `json:"build_id"`
	Context     string   `json:"context"`
	Started     string   `json:"started"`
	Finished    string   `json:"finished"`
	Duration    string   `json:"duration"`
	State       string   `json:"state"`
	Description string   `json:"description"`
	URL         string   `json:"url"`
	PodName     string   `json:"pod_name"`
	Agent       string   `json:"agent"`
	ProwJob     string   `json:"prow_job"`
}

func (s *server) dataJS(w http.ResponseWriter, r *http.Request) {
	if s.tagged(w, r, queryTag(r)) {
		return
	}
	shown := decider(s.sight().of)
	s.writeData(w, r, func(w io.Writer) error {
		if _, err := io.WriteString(w, "["); err != nil {
			return err
		}
		separator := ""
		err := s.eachInCluster(r.Context(), func(e *entry) bool { return shown(e.shape) }, headOf, func(raw []byte) error {
			item, err := legacyItem(raw)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(w, separator); err != nil {
				return err
			}
			separator = ","
			_, err = w.Write(item)
			return err
		})
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "]")
		return err
	})
}

// legacyItem is a ProwJob as /data.js shows it.
func legacyItem(raw []byte) ([]byte, error) {
	var pj struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Spec struct {
			Type    v1.ProwJobType  `json:"type"`
			Agent   v1.ProwJobAgent `json:"agent"`
			Job     string          `json:"job"`
			Refs    *v1.Refs        `json:"refs"`
			Context string          `json:"context"`
		} `json:"spec"`
		Status v1.ProwJobStatus `json:"status"`
	}
	if err := json.Unmarshal(raw, &pj); err != nil {
		return nil, err
	}
	item := legacyJob{
		Type: string(pj.Spec.Type), Refs: pj.Spec.Refs, Job: pj.Spec.Job, BuildID: pj.Status.BuildID, Context: pj.Spec.Context,
		Started: strconv.FormatInt(pj.Status.StartTime.Unix(), 10), State: string(pj.Status.State), Description: pj.Status.Description,
		URL: pj.Status.URL, PodName: pj.Status.PodName, Agent: string(pj.Spec.Agent), ProwJob: pj.Metadata.Name,
	}
	if pj.Spec.Refs != nil {
		item.RefsKey = pj.Spec.Refs.String()
	}
	if end := pj.Status.CompletionTime; end != nil {
		item.Finished = end.Format(time.RFC3339Nano)
		item.Duration = end.Sub(pj.Status.StartTime.Time).Truncate(time.Second).String()
	}
	return json.Marshal(item)
}

func writeYAML(w http.ResponseWriter, value any) error {
	body, err := yaml.Marshal(value)
	if err != nil {
		return err
	}
	noStore(w)
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write(body)
	return nil
}

// requested finds the ProwJob of a request, or answers that there is none.
func (s *server) requested(w http.ResponseWriter, r *http.Request) *v1.ProwJob {
	name := r.URL.Query().Get("prowjob")
	if name == "" {
		http.Error(w, "the parameter prowjob is missing", http.StatusBadRequest)
		return nil
	}
	pj := s.find(name)
	if pj == nil {
		http.Error(w, "there is no such ProwJob", http.StatusNotFound)
	}
	return pj
}

func (s *server) prowJobYAML(w http.ResponseWriter, r *http.Request) {
	pj := s.requested(w, r)
	if pj == nil {
		return
	}
	out := reduced(pj, nil)
	out.TypeMeta.APIVersion, out.TypeMeta.Kind = v1.SchemeGroupVersion.String(), "ProwJob"
	if err := writeYAML(w, out); err != nil {
		s.fail(w, r, err)
	}
}

// configYAML serves the configuration, without the jobs that are not shown.
func (s *server) configYAML(w http.ResponseWriter, r *http.Request) {
	cfg := s.config.Get()
	var value any
	switch key := r.URL.Query().Get("key"); key {
	case "":
		value = s.visibleConfig(cfg)
	case "disabled-clusters":
		clusters := slices.Clone(cfg.DisabledClusters)
		slices.Sort(clusters)
		value = append([]string{}, slices.Compact(clusters)...)
	default:
		http.Error(w, fmt.Sprintf("key %q is not known; there is disabled-clusters", key), http.StatusInternalServerError)
		return
	}
	if err := writeYAML(w, value); err != nil {
		s.fail(w, r, err)
	}
}

// pluginConfigYAML serves the configuration of plugins.
func (s *server) pluginConfigYAML(w http.ResponseWriter, r *http.Request) {
	if s.access.plugins == nil {
		http.Error(w, "the configuration of plugins is not known here (--plugin-config)", http.StatusInternalServerError)
		return
	}
	if err := writeYAML(w, s.access.plugins.Get()); err != nil {
		s.fail(w, r, err)
	}
}

// badge draws how the newest runs of jobs ended.
func (s *server) badge(w http.ResponseWriter, r *http.Request) {
	patterns := strings.Split(r.URL.Query().Get("jobs"), ",")
	if r.URL.Query().Get("jobs") == "" {
		http.Error(w, "the parameter jobs is missing", http.StatusBadRequest)
		return
	}
	wanted := decider(func(h unique.Handle[shape]) bool {
		name := h.Value().job
		return s.sight().of(h) && slices.ContainsFunc(patterns, func(p string) bool { ok, err := path.Match(p, name); return ok && err == nil })
	})
	seen := map[string]bool{}
	var failing []string
	failed := unique.Make(v1.FailureState)
	s.index.each(func(e *entry) bool {
		if !wanted(e.shape) {
			return true
		}
		if name := e.shape.Value().job; !seen[name] {
			seen[name] = true
			if e.state == failed {
				failing = append(failing, name)
			}
		}
		return true
	})
	text, colour := "passing", "#4c1"
	switch {
	case len(seen) == 0:
		text, colour = "no results", "darkgrey"
	case len(failing) > 0:
		slices.Sort(failing)
		more := ""
		if len(failing) > 3 {
			failing, more = failing[:3], ", ..."
		}
		text, colour = "failing "+strings.Join(failing, ", ")+more, "#e05d44"
	}
	var body bytes.Buffer
	if err := s.pages.badge(&body, text, colour); err != nil {
		s.fail(w, r, err)
		return
	}
	noStore(w)
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, _ = w.Write(body.Bytes())
}
