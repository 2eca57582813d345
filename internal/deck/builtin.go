package deck

import (
	"regexp"

	"prow/internal/config"
	"prow/internal/deck/lens"
	"prow/internal/deck/lens/buildlog"
	"prow/internal/deck/lens/coverage"
	"prow/internal/deck/lens/html"
	"prow/internal/deck/lens/junit"
	"prow/internal/deck/lens/links"
	"prow/internal/deck/lens/markdown"
	"prow/internal/deck/lens/metadata"
	"prow/internal/deck/lens/podinfo"
	"prow/internal/deck/lens/restcoverage"
)

// builtinLenses are those of this program.
func builtinLenses() []lens.Lens {
	return []lens.Lens{buildlog.New(), coverage.New(), html.New(), junit.New(), links.New(), markdown.New(), metadata.New(), podinfo.New(), restcoverage.New()}
}

// Lenses whose part is on the page itself, where it follows the run and the log.
const (
	metadataLens = "metadata"
	buildLogLens = "buildlog"
)

// usualFiles are what lenses are used for where the configuration says nothing of
// lenses at all.
func usualFiles() []config.LensFile {
	var out []config.LensFile
	for _, u := range []struct{ name, required, optional string }{
		{metadataLens, `^(?:started|finished)\.json$`, `^(?:podinfo|prowjob)\.json$`},
		{"restcoverage", `^artifacts/rest[-_]coverage\.json$`, ""},
		{"html", `^artifacts/[^/]*\.html$`, ""},
		{"junit", `^artifacts(/.*/|/)junit.*\.xml$`, ""},
		{"markdown", `^artifacts/(?:.*/)?(?i:summary)\.md$`, ""},
		{"coverage", `^artifacts/filtered\.cov$`, `^artifacts/filtered\.html$`},
		{buildLogLens, `^.*build-log\.txt$`, ""},
		{"podinfo", `^podinfo\.json$`, `^prowjob\.json$`},
		{"links", `^artifacts/.*\.link\.txt$`, ""},
	} {
		f := config.LensFile{RequiredFiles: []string{u.required}, Lens: config.LensConfig{Name: u.name}}
		if u.optional != "" {
			f.OptionalFiles = []string{u.optional}
		}
		out = append(out, f)
	}
	return out
}

// compiled are expressions that were checked when the configuration was loaded, or are
// those above.
func compiled(all []string) (out []*regexp.Regexp) {
	for _, text := range all {
		if r, err := regexp.Compile(text); err == nil {
			out = append(out, r)
		}
	}
	return out
}
