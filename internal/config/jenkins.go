package config

import "k8s.io/apimachinery/pkg/labels"

// JenkinsOperator configures one controller of Jenkins jobs.
type JenkinsOperator struct {
	Controller

	// LabelSelector says which ProwJobs the controller owns; it must be empty
	// with one controller and set with several.
	LabelSelector string `json:"label_selector,omitempty"`

	selector labels.Selector
}
