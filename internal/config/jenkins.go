package config

import (
	"fmt"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/labels"
)

// JenkinsOperator configures one controller of Jenkins jobs.
type JenkinsOperator struct {
	Controller

	// LabelSelector says which ProwJobs the controller owns; it must be empty
	// with one controller and set with several.
	LabelSelector string `json:"label_selector,omitempty"`

	selector labels.Selector
}

func (c *ProwConfig) resolveJenkins(s *sectionContext) {
	funcs := template.FuncMap{"replace": func(old, replacement, src string) string {
		return strings.ReplaceAll(src, old, replacement)
	}}
	for i := range c.JenkinsOperators {
		op := &c.JenkinsOperators[i]
		field := fmt.Sprintf("jenkins_operators[%d]", i)
		op.Controller.resolve(s, field, funcs)
		var err error
		if op.selector, err = labels.Parse(op.LabelSelector); err != nil {
			s.report(field+".label_selector", "found %q, expected a label selector: %v", op.LabelSelector, err)
		}
		switch n := len(c.JenkinsOperators); {
		case n == 1 && op.LabelSelector != "":
			s.report(field+".label_selector", "found %q, expected none, because there is only one operator", op.LabelSelector)
		case n > 1 && op.LabelSelector == "":
			s.report(field+".label_selector", "missing; with %d operators each needs one", n)
		}
	}
}

// Selector says which ProwJobs the controller owns.
func (j *JenkinsOperator) Selector() labels.Selector { return j.selector }
