package deck

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/loglines"
	"prow/internal/pod"
)

const (
	// beforeLine is how many lines before one that is linked are shown.
	beforeLine = 100
	// foldedLines bounds what a page with highlights shows, foldTime how long it looks.
	foldedLines = 2000
	foldTime    = 3 * time.Second
	// pageHits is how many hits of a search a page shows, pageSearch how long it looks.
	pageHits   = 200
	pageSearch = 8 * time.Second
)

// logView is the log on the page of a run: a part of it, or the highlights, or the
// hits of a search.
type logView struct {
	logPart
	Containers []containerLink
	// Source names the run to scripts; "" where there is no log to ask for.
	Source string
	// FollowURL, RawURL and Permalink are relative to the root.
	FollowURL, RawURL, Permalink string
	// Links to other views of the log, relative to the page; "" is none.
	Beginning, End, Before, After, Highlights string
	// Line is the line that was asked for.
	Line  int64
	Query searchQuery
	Found *searchView
	Fold  *foldView
}

// searchQuery is a search as a form has it.
type searchQuery struct {
	Text         string
	Regexp, Case bool
}

func (q searchQuery) values() url.Values {
	out := url.Values{"q": {q.Text}}
	if q.Regexp {
		out.Set("re", "1")
	}
	if q.Case {
		out.Set("case", "1")
	}
	return out
}

func (q searchQuery) compile() (*loglines.Matcher, error) {
	return loglines.Query{Text: q.Text, Regexp: q.Regexp, Case: q.Case}.Compile()
}

func queryOf(v url.Values) searchQuery {
	return searchQuery{v.Get("q"), v.Get("re") != "", v.Get("case") != ""}
}

// searchView are hits on a page.
type searchView struct {
	Hits     []hitView
	Searched loglines.Searched
	Problem  string
	// More leads on where the search ended before the log did.
	More string
}

type hitView struct {
	// Line begins at 1. Text is around the match, which is Match.
	Line               int64
	Left, Match, Right string
	Before, After      []string
	Link               string
}

// foldView is a log of which the boring parts are hidden.
type foldView struct {
	Parts       []foldPart
	Highlighted int64
	// Rest leads to what was not looked at.
	Rest string
}

type foldPart struct {
	// First and Last are the lines, from 1; Count is how many are hidden.
	First, Last, Count int64
	Lines              []logLine
	Link               string
}

// fillLog chooses the log and what of it the request asks for.
func (s *server) fillLog(ctx context.Context, view *runView, r *http.Request, found run, files []string) {
	q := r.URL.Query()
	container := q.Get("container")
	names := logContainers(found.pj, files)
	if !slices.Contains(names, container) {
		container = ""
		// The usual name of the test is another word for it.
		if len(names) > 0 {
			container = names[0]
		}
	}
	log := logView{Source: found.source()}
	link := func(v url.Values) string {
		if container != "" {
			v.Set("container", container)
		}
		return "?" + v.Encode()
	}
	if len(names) > 1 {
		for _, name := range names {
			log.Containers = append(log.Containers, containerLink{name, "?" + url.Values{"container": {name}}.Encode(), name == container})
		}
	}
	source := logSource{found, container}
	log.Query = queryOf(q)
	log.Beginning, log.End = link(url.Values{"from": {"1"}}), link(url.Values{})
	switch {
	case log.Query.Text != "":
		log.Container = container
		log.Found = s.pageOfHits(ctx, source, log.Query, number(q.Get("after")), link)
	case q.Get("view") == "highlights":
		log.Container = container
		log.Fold, log.Problem = s.pageOfHighlights(ctx, source, view.logSettings, link)
	default:
		from := number(q.Get("from"))
		if log.Line = number(q.Get("line")); log.Line > 0 {
			from = max(1, log.Line-beforeLine)
		}
		log.logPart = s.part(ctx, source, from, pageLines)
		for i := range log.Lines {
			log.Lines[i].Marked = log.Line > 0 && log.Lines[i].Number == log.Line
		}
		if log.Earlier > 0 {
			log.Before = link(url.Values{"from": {strconv.FormatInt(log.Earlier, 10)}})
		}
		if log.Later > 0 {
			log.After = link(url.Values{"from": {strconv.FormatInt(log.Later, 10)}})
		}
	}
	if log.Source != "" && log.Problem == "" && log.Fold == nil {
		log.Highlights = link(url.Values{"view": {"highlights"}})
	}
	s.logLinks(&log, view, found, container)
	view.Log = log
}

// logLinks are the addresses of the whole log.
func (s *server) logLinks(log *logView, view *runView, found run, container string) {
	if found.place != nil {
		log.Permalink = "view/" + escapePath(found.place.path())
	}
	if pj := found.pj; pj != nil && found.build != "" {
		params := url.Values{"job": {found.job}, "id": {found.build}}
		if container != "" {
			params.Set("container", container)
		}
		log.RawURL = "log?" + params.Encode()
		if pj.Spec.Agent == v1.KubernetesAgent {
			params.Set("follow", "1")
			log.FollowURL = "log?" + params.Encode()
		}
	}
	name := artifacts.BuildLogFile
	if container != "" {
		name = artifacts.BuildLogName(container)
	}
	for _, a := range view.Artifacts {
		if a.Name == name {
			log.RawURL = a.Link
		}
	}
	if view.logSettings.HideRawLog {
		log.RawURL = ""
	}
}

// number reads a line's number; 0 is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// pageOfHits searches for as long as a page may take.
func (s *server) pageOfHits(ctx context.Context, l logSource, q searchQuery, after int64, link func(url.Values) string) *searchView {
	out := &searchView{}
	m, err := q.compile()
	if err != nil {
		out.Problem = "This cannot be searched for: " + err.Error() + "."
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, pageSearch)
	defer cancel()
	hit := func(h loglines.Hit) error {
		v := hitView{
			Line: h.Line + 1, Left: readable(h.Text[:h.From]), Match: readable(h.Text[h.From:h.To]), Right: readable(h.Text[h.To:]),
			Before: readableAll(h.Before), After: readableAll(h.After),
		}
		v.Link = link(url.Values{"line": {strconv.FormatInt(v.Line, 10)}}) + "#L" + strconv.FormatInt(v.Line, 10)
		out.Hits = append(out.Hits, v)
		return nil
	}
	out.Searched, err = s.search(ctx, l, m, after, pageHits, hit, func(loglines.Searched) error { return nil })
	switch {
	case errors.Is(err, errBusy):
		out.Problem = "Too many logs are being searched at the moment; try again later."
	case err != nil && ctx.Err() == nil:
		out.Problem = "There is no log that could be searched."
		s.log.InfoContext(ctx, "a log cannot be searched", "job", l.run.job, "build", l.run.build, "error", err)
	case !out.Searched.Complete:
		v := q.values()
		v.Set("after", strconv.FormatInt(after+out.Searched.Lines, 10))
		out.More = link(v)
	}
	return out
}

// readable is text of a log without what terminals and readers would obey.
func readable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < 0x20 || r == 0x7f) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r >= 0x80 && r <= 0x9f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

func readableAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = readable(line)
	}
	return out
}

// buildLogConfig is what the configuration says about logs, under the lens buildlog.
type buildLogConfig struct {
	HighlightRegexes       []string `json:"highlight_regexes"`
	HideRawLog             bool     `json:"hide_raw_log"`
	HighlightLineLengthMax int      `json:"highlight_line_length_max"`
}

// parseBuildLogConfig reads it. What cannot be read has its default.
func parseBuildLogConfig(raw json.RawMessage) (out buildLogConfig) {
	_ = json.Unmarshal(raw, &out)
	return out
}

// focusOf are the lines that somebody chose for everybody, as metadata tells.
func focusOf(metadata map[string]string) (from, to int64) {
	from, to = number(metadata["focus-start"]), number(metadata["focus-end"])
	if from <= 0 || to < from {
		return 0, 0
	}
	return from, to
}

// pageOfHighlights looks through the log for what is worth seeing.
func (s *server) pageOfHighlights(ctx context.Context, l logSource, settings buildLogConfig, link func(url.Values) string) (view *foldView, problem string) {
	h, err := loglines.HighlightOf(settings.HighlightRegexes, settings.HighlightLineLengthMax)
	if err != nil {
		s.log.InfoContext(ctx, "the default highlights are used", "error", err)
	}
	limited, cancel := context.WithTimeout(ctx, foldTime)
	defer cancel()
	stream, err := s.stream(limited, l, 0)
	if err != nil {
		return nil, "There is no log that could be looked through."
	}
	defer stream.Close()
	h.From, h.To = stream.focusFrom, stream.focusTo
	folded, err := loglines.Fold(limited, stream, h, foldedLines)
	if err != nil {
		s.log.InfoContext(ctx, "a log cannot be looked through", "job", l.run.job, "build", l.run.build, "error", err)
		return nil, "The log cannot be read at the moment; the log of this program tells why."
	}
	view = &foldView{Highlighted: folded.Highlighted}
	for _, p := range folded.Parts {
		part := foldPart{First: p.First + 1, Last: p.First + p.Count}
		if p.Lines == nil {
			part.Count = p.Count
			part.Link = link(url.Values{"from": {strconv.FormatInt(part.First, 10)}})
		}
		var paint painter
		for i, line := range p.Lines {
			part.Lines = append(part.Lines, logLine{Number: part.First + int64(i), HTML: paint.line(line), High: p.Marked[i]})
		}
		view.Parts = append(view.Parts, part)
	}
	if !folded.Complete {
		view.Rest = link(url.Values{"from": {strconv.FormatInt(folded.Lines+1, 10)}})
	}
	return view, ""
}

// logContainers are the containers with a log; "" is the only one of a run that has
// only one.
func logContainers(pj *v1.ProwJob, files []string) []string {
	if pj != nil && pj.Spec.PodSpec != nil && len(pj.Spec.PodSpec.Containers) > 1 {
		var names []string
		for _, c := range pj.Spec.PodSpec.Containers {
			names = append(names, c.Name)
		}
		return names
	}
	var names []string
	for _, f := range files {
		if f == artifacts.BuildLogFile {
			return []string{""}
		}
		if name, ok := strings.CutSuffix(f, "-"+artifacts.BuildLogFile); ok && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{""}
	}
	return names
}

// LogFile is the name of the log, as fragments of older addresses have it.
func (l logView) LogFile() string {
	if name := cmp.Or(l.Container, pod.TestContainerName); name != pod.TestContainerName {
		return artifacts.BuildLogName(name)
	}
	return artifacts.BuildLogFile
}
