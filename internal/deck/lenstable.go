package deck

import (
	"fmt"
	htmltemplate "html/template"
	"io"
	"text/template"

	"prow/internal/config"
	"prow/internal/deck/lens"
	"prow/internal/deck/spyglass"
)

// lensTable is what a configuration makes of the pages of runs.
type lensTable struct {
	entries []spyglass.Entry
	// announcement and pullLink are nil where nothing is configured.
	announcement *htmltemplate.Template
	pullLink     *template.Template
}

// announced is what the template of the announcement may use.
type announced struct{ ArtifactPath string }

// newLensTable resolves the lenses of a configuration and parses its templates. The
// error tells of everything that cannot be.
func newLensTable(sg *config.Spyglass, builtin map[string]lens.Lens) (*lensTable, error) {
	out := &lensTable{}
	var problems config.Errors
	report := func(field string, err error) {
		problems = append(problems, config.Problem{Field: "deck.spyglass." + field, Message: err.Error()})
	}
	files := sg.Lenses
	if len(files) == 0 {
		for _, f := range usualFiles() {
			if builtin[f.Lens.Name] != nil {
				files = append(files, f)
			}
		}
	}
	for i, f := range files {
		choice := spyglass.Choice{Name: f.Lens.Name, Config: f.Lens.Config}
		if r := f.RemoteConfig; r != nil {
			choice.Endpoint, choice.StaticRoot, choice.Title, choice.Priority, choice.HideTitle = r.Endpoint, r.StaticRoot, r.Title, r.Priority, r.HideTitle
		}
		entry, err := spyglass.Resolve(i, choice, builtin)
		if err != nil {
			report(fmt.Sprintf("lenses[%d]", i), err)
		}
		entry.Required, entry.Optional = compiled(f.RequiredFiles), compiled(f.OptionalFiles)
		out.entries = append(out.entries, entry)
	}
	var err error
	if sg.Announcement != "" {
		out.announcement, err = htmltemplate.New("announcement").Parse(sg.Announcement)
		if err == nil {
			err = out.announcement.Execute(io.Discard, announced{"bucket/logs/job/1"})
		}
		if err != nil {
			report("announcement", err)
		}
	}
	if sg.PRHistLinkTemplate != "" {
		out.pullLink, err = template.New("link").Parse(sg.PRHistLinkTemplate)
		if err == nil {
			_, err = spyglass.PullLink(out.pullLink, "org", "repo", 1)
		}
		if err != nil {
			report("pr_history_link_template", err)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return out, nil
}

// lensMap finds lenses by name.
func lensMap(list []lens.Lens) map[string]lens.Lens {
	out := map[string]lens.Lens{}
	for _, l := range list {
		out[l.About().Name] = l
	}
	return out
}

// checkLenses refuses a configuration that asks for lenses which are nowhere. It is a
// check of this component: only it knows what is built in.
func checkLenses(builtin map[string]lens.Lens) config.Check {
	return func(cfg *config.Config) error {
		_, err := newLensTable(&cfg.Deck.Spyglass, builtin)
		return err
	}
}

// knownTable is the table of one configuration.
type knownTable struct {
	of    *config.Config
	table *lensTable
}

// lensTable is that of the configuration that counts at the moment.
func (s *server) lensTable() *lensTable {
	cfg := s.config.Get()
	if known := s.table.Load(); known != nil && known.of == cfg {
		return known.table
	}
	table, err := newLensTable(&cfg.Deck.Spyglass, s.builtin)
	if err != nil { // it was checked when it was loaded
		s.log.Error("the lenses of the configuration are not used", "error", err)
		table = &lensTable{}
	}
	s.table.Store(&knownTable{cfg, table})
	return table
}
