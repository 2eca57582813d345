package checkconfig

import (
	"strings"
	"testing"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// A load refuses such jobs if they have containers, so no file shows it.
func TestDecorationConfigsAreJudged(t *testing.T) {
	on := true
	job := func(d *v1.DecorationConfig) config.Periodic {
		return config.Periodic{JobBase: config.JobBase{Agent: "kubernetes", UtilityConfig: config.UtilityConfig{Decorate: &on, DecorationConfig: d}}}
	}
	c := &config.Config{JobConfig: config.JobConfig{Periodics: []config.Periodic{
		job(nil), job(&v1.DecorationConfig{}), {JobBase: config.JobBase{Agent: "kubernetes"}}, {JobBase: config.JobBase{Agent: "jenkins"}},
	}}}
	found := validDecorationConfig(&input{config: c})
	if len(found) != 2 || found[0].Message != "missing" || !strings.Contains(found[1].Message, "utility") {
		t.Errorf("found %v", found)
	}
}
