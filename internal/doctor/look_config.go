package doctor

import (
	"context"
	"errors"
	"fmt"

	"prow/internal/config"
)

// maxProblems is how many problems of one file are told.
const maxProblems = 20

func lookAtConfiguration(_ context.Context, p *patient) []Finding {
	var out []Finding
	if p.configErr != nil {
		out = append(out, problems("The main configuration does not load", p.configErr)...)
	} else {
		out = append(out, good("%s loads: %d repositories, %d periodic jobs", p.Config.ConfigPath, p.config.AllRepos().Len(), len(p.config.Periodics)))
		if len(p.config.StorageBuckets()) == 0 {
			out = append(out, warn("Set gcs_configuration.bucket in plank.default_decoration_config_entries.", "No bucket is configured: logs of jobs are kept nowhere"))
		}
		out = append(out, warnings(p.config.Warnings())...)
	}
	switch {
	case p.Plugins.Path == "":
		out = append(out, leftOut("The configuration of plugins: --plugin-config is not given"))
	case p.pluginErr != nil:
		out = append(out, problems("The configuration of plugins does not load", p.pluginErr)...)
	default:
		out = append(out, good("%s loads", p.Plugins.Path))
		out = append(out, warnings(p.plugins.Warnings())...)
	}
	return out
}

// problems are those of an error that may have several.
func problems(what string, err error) []Finding {
	const mend = "`prow checkconfig` tells the same before a change is merged; components go on with the last configuration that loaded."
	var all config.Errors
	if !errors.As(err, &all) {
		return []Finding{bad(mend, "%s: %v", what, err)}
	}
	text := what + ":"
	for _, problem := range all[:min(len(all), maxProblems)] {
		text += "\n" + problem.String()
	}
	if n := len(all) - maxProblems; n > 0 {
		text += fmt.Sprintf("\nand %d more", n)
	}
	return []Finding{bad(mend, "%s", text)}
}

func warnings(list []config.Problem) []Finding {
	if len(list) == 0 {
		return nil
	}
	text := fmt.Sprintf("%d warnings, such as %s", len(list), list[0])
	if len(list) == 1 {
		text = list[0].String()
	}
	return []Finding{warn("`prow checkconfig` tells all.", "%s", text)}
}
