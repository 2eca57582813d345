// Package restcoverage is the lens that shows how much of a REST API was used by tests.
package restcoverage

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"slices"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
)

//go:embed static
var static embed.FS

//go:embed restcoverage.html
var page string

const (
	maxBytes = 20 << 20
	// maxNodes is how many parameters are shown.
	maxNodes = 20_000
	// maxDepth is how deep they may be nested.
	maxDepth = 50
)

// config holds thresholds in percent: up to the error coverage is red, up to the
// warning yellow. The defaults count where the lens has no configuration at all.
type config struct {
	ThresholdWarning float64 `json:"threshold_warning"`
	ThresholdError   float64 `json:"threshold_error"`
}

type restLens struct{ page *template.Template }

// New is the lens.
func New() lens.Lens { return &restLens{look.Template("restcoverage", page)} }

func (l *restLens) About() lens.About {
	return lens.About{Name: "restcoverage", Title: "REST API coverage report", Files: look.Files(static)}
}

func (l *restLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	v := &view{}
	if err := v.read(ctx, r); err != nil {
		v = &view{Problem: err.Error()}
	}
	return look.Execute(l.page, "page", v)
}

func (v *view) read(ctx context.Context, r *lens.Request) error {
	c := config{ThresholdWarning: 40, ThresholdError: 10}
	if len(r.Config) > 0 && string(r.Config) != "null" {
		c = config{}
	}
	v.Warning = look.Config(r.Config, &c)
	if c.ThresholdError > c.ThresholdWarning {
		return fmt.Errorf("threshold_error (%v) is above threshold_warning (%v)", c.ThresholdError, c.ThresholdWarning)
	}
	if len(r.Artifacts) != 1 {
		return fmt.Errorf("there are %d files: exactly one report is expected", len(r.Artifacts))
	}
	raw, err := lens.ReadAll(ctx, r.Artifacts[0], maxBytes)
	if err == nil {
		err = v.parse(raw, c)
	}
	if err != nil {
		return errors.New(look.Problem(r.Artifacts[0], err))
	}
	return nil
}

// report is the content of the file.
type report struct {
	counts
	Endpoints map[string]map[string]*method `json:"endpoints"`
}

type counts struct {
	UniqueHits         int     `json:"uniqueHits"`
	ExpectedUniqueHits int     `json:"expectedUniqueHits"`
	Percent            float64 `json:"percent"`
}

type method struct {
	counts
	Params struct {
		Body  *tree `json:"body"`
		Query *tree `json:"query"`
	} `json:"params"`
	MethodCalled bool `json:"methodCalled"`
}

type tree struct {
	Root *node `json:"root"`
	counts
}

type node struct {
	Hits  int              `json:"hits"`
	Items map[string]*node `json:"items"`
}

// view is the page.
type view struct {
	Problem, Warning string
	counts
	Class     string
	Endpoints []endpointView
	left      int
	// Cut tells that not all parameters are shown.
	Cut bool
}

type endpointView struct {
	Path, Method string
	counts
	Class  string
	Called bool
	Params []paramsView
}

type paramsView struct {
	Name  string
	Nodes []nodeView
}

type nodeView struct {
	Name  string
	Hits  int
	Items []nodeView
}

// Missed tells that nothing used it.
func (n nodeView) Missed() bool { return n.Hits == 0 }

func (v *view) parse(raw []byte, c config) error {
	var r report
	if err := look.JSON(raw, &r); err != nil {
		return err
	}
	v.counts, v.Class, v.left = r.counts, c.class(r.Percent), maxNodes
	for _, path := range slices.Sorted(maps.Keys(r.Endpoints)) {
		for _, name := range slices.Sorted(maps.Keys(r.Endpoints[path])) {
			m := r.Endpoints[path][name]
			if m == nil {
				continue
			}
			if v.left--; v.left < 0 {
				v.Cut = true
				return nil
			}
			e := endpointView{Path: path, Method: name, counts: m.counts, Class: c.class(m.Percent), Called: m.MethodCalled}
			for _, p := range []struct {
				name string
				tree *tree
			}{{"Body", m.Params.Body}, {"Query", m.Params.Query}} {
				if p.tree != nil && p.tree.Root != nil && len(p.tree.Root.Items) > 0 {
					e.Params = append(e.Params, paramsView{p.name, v.nodes(p.tree.Root, 0)})
				}
			}
			v.Endpoints = append(v.Endpoints, e)
		}
	}
	return nil
}

func (v *view) nodes(n *node, depth int) []nodeView {
	var out []nodeView
	for _, name := range slices.SortedFunc(maps.Keys(n.Items), cmp.Compare[string]) {
		child := n.Items[name]
		if child == nil {
			child = &node{}
		}
		if v.left--; v.left < 0 || depth == maxDepth {
			v.Cut = true
			return out
		}
		out = append(out, nodeView{name, child.Hits, v.nodes(child, depth+1)})
	}
	return out
}

// class is red up to one threshold, and yellow up to the other.
func (c config) class(percent float64) string {
	switch {
	case percent <= c.ThresholdError:
		return "failed"
	case percent <= c.ThresholdWarning:
		return "flaky"
	}
	return "passed"
}
