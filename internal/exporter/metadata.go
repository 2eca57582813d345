package exporter

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/sets"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/jobview"
)

// leftOut are labels that say nothing about a job, or what other labels of the
// metric say.
var leftOut = sets.New(
	prowv1.CreatedByProwLabel, prowv1.TypeLabel, prowv1.ProwJobIDLabel, prowv1.BuildIDLabel, prowv1.JobLabel,
	prowv1.OrgLabel, prowv1.RepoLabel, prowv1.PullLabel,
)

// metadata is the collector of prow_job_labels and prow_job_annotations. Its
// label sets depend on the jobs, so it describes nothing beforehand.
type metadata struct {
	jobs func() []*jobview.Job
}

// Describe implements prometheus.Collector.
func (metadata) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m metadata) Collect(out chan<- prometheus.Metric) {
	for _, j := range newest(m.jobs()) {
		labels := make(map[string]string, len(j.Labels))
		for key, value := range j.Labels {
			if !leftOut.Has(key) {
				labels[key] = value
			}
		}
		out <- sample("prow_job_labels", "Labels of the newest run of each job.", "label_", j, labels)
		out <- sample("prow_job_annotations", "Annotations of the newest run of each job.", "annotation_", j, j.Annotations)
	}
}

// newest picks of each job the run that started last.
func newest(jobs []*jobview.Job) map[string]*jobview.Job {
	out := map[string]*jobview.Job{}
	for _, j := range jobs {
		if best := out[j.Spec.Job]; best == nil || best.Status.StartTime.Before(&j.Status.StartTime) ||
			best.Status.StartTime.Equal(&j.Status.StartTime) && best.Name < j.Name {
			out[j.Spec.Job] = j
		}
	}
	return out
}

func sample(name, help, prefix string, j *jobview.Job, extra map[string]string) prometheus.Metric {
	names := []string{"collector_name", "job_name", "job_namespace", "job_agent"}
	values := []string{Name, j.Spec.Job, j.Namespace, string(j.Spec.Agent)}
	taken := sets.New(names...)
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		// Two keys may become one name; a sample may not have it twice.
		label := prefix + sanitize(key)
		for n := 2; taken.Has(label); n++ {
			label = prefix + sanitize(key) + "_" + strconv.Itoa(n)
		}
		taken.Insert(label)
		names, values = append(names, label), append(values, strings.ToValidUTF8(extra[key], ""))
	}
	return prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), prometheus.GaugeValue, 1, values...)
}

// sanitize makes a key part of a label's name.
func sanitize(key string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, key)
}
