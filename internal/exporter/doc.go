// Package exporter tells Prometheus about ProwJobs: the labels and annotations
// of the newest run of each job, and how long runs stay in each state.
package exporter
