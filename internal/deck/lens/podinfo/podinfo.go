// Package podinfo is the lens that shows the pod of a run as the build cluster last
// knew it: where it was, what its containers ran, and what happened to it.
package podinfo

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"path"
	"strings"
	texttemplate "text/template"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
	"prow/internal/deck/lens/podfile"
)

//go:embed static
var static embed.FS

//go:embed podinfo.html
var page string

// maxLink is the longest link that a template makes, in bytes.
const maxLink = 4 << 10

type config struct {
	// RunnerConfigs are by cluster.
	RunnerConfigs map[string]struct {
		PodLinkTemplate string `json:"pod_link_template"`
	} `json:"runner_configs"`
}

type podLens struct{ page *template.Template }

// New is the lens.
func New() lens.Lens { return &podLens{look.Template("podinfo", page)} }

func (l *podLens) About() lens.About {
	return lens.About{Name: "podinfo", Title: "Job Pod Info", Priority: 20, Files: look.Files(static)}
}

func (l *podLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	var c config
	var problems []string
	if p := look.Config(r.Config, &c); p != "" {
		problems = append(problems, p)
	}
	var info *podfile.Info
	var pj *v1.ProwJob
	for _, a := range r.Artifacts {
		var err error
		switch path.Base(a.Name()) {
		case artifacts.PodInfoFile:
			info, err = podfile.Read(ctx, a)
		case artifacts.ProwJobFile:
			pj, err = podfile.ReadProwJob(ctx, a)
		}
		if err != nil {
			problems = append(problems, look.Problem(a, err))
		}
	}
	v := describe(info)
	if info != nil && info.Pod != nil && pj != nil {
		link, err := c.link(info, pj.Spec.Cluster)
		if err != nil {
			problems = append(problems, err.Error())
		}
		v.Link = link
	}
	v.Problems = problems
	return look.Execute(l.page, "page", v)
}

// link leads to the pod in the console of its cluster; "" if there is none.
func (c *config) link(info *podfile.Info, cluster string) (string, error) {
	runner, ok := c.RunnerConfigs[cluster]
	if !ok || cluster == "" || info.Pod.Name == "" || runner.PodLinkTemplate == "" {
		return "", nil
	}
	where := fmt.Sprintf("runner_configs.%s.pod_link_template", cluster)
	t, err := texttemplate.New("link").Parse(runner.PodLinkTemplate)
	if err != nil {
		return "", fmt.Errorf("%s: %w", where, err)
	}
	var out strings.Builder
	if err := t.Execute(&out, info.Pod); err != nil {
		return "", fmt.Errorf("%s: %w", where, err)
	}
	if !look.IsWeb(out.String()) || out.Len() > maxLink {
		return "", fmt.Errorf("%s makes no address of the web: %.200q", where, out.String())
	}
	return out.String(), nil
}
