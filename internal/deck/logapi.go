package deck

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"html/template"
	"net/http"
	"time"

	"prow/internal/deck/loglines"
)

const (
	// maxSearches is how many logs are searched at once, searchWait how long one more
	// waits for its turn.
	maxSearches = 4
	searchWait  = 3 * time.Second
	// streamHits and streamSearch bound a search of a script.
	streamHits   = 1000
	streamSearch = 10 * time.Second
)

// logSourceOf reads the parameters src and container. It answers what cannot be
// served.
func (s *server) logSourceOf(w http.ResponseWriter, r *http.Request) (logSource, bool) {
	noStore(w)
	q := r.URL.Query()
	if r.Method != http.MethodGet {
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return logSource{}, false
	}
	if q.Get("src") == "" {
		http.Error(w, "the parameter src is needed: what follows /view/ in the address of the run", http.StatusBadRequest)
		return logSource{}, false
	}
	found, err := s.sourceOf(r.Context(), q.Get("src"))
	if err != nil {
		s.fail(w, r, err)
		return logSource{}, false
	}
	return logSource{found, q.Get("container")}, true
}

// logLines serves a part of a log to scripts: count lines from the line from, or the
// end of the log. Without a count it tells how many lines there are.
func (s *server) logLines(w http.ResponseWriter, r *http.Request) {
	l, ok := s.logSourceOf(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	ctx, cancel := context.WithTimeout(r.Context(), storageTimeout)
	defer cancel()
	part := s.part(ctx, l, number(q.Get("from")), int(min(max(number(q.Get("count")), 1), pageLines)))
	type line struct {
		Number int64         `json:"n"`
		HTML   template.HTML `json:"html"`
	}
	out := struct {
		Lines    []line `json:"lines"`
		Total    int64  `json:"total"`
		Counting bool   `json:"counting"`
		Percent  int    `json:"percent"`
		Wanted   int64  `json:"wanted,omitempty"`
		Problem  string `json:"problem,omitempty"`
	}{[]line{}, part.Total, part.Counting, part.Percent, part.Wanted, part.Problem}
	if q.Get("count") != "" && part.Wanted == 0 {
		for _, l := range part.Lines {
			out.Lines = append(out.Lines, line{l.Number, l.HTML})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a viewer who left is no error
}

// search looks through a log, if not too many are being looked through.
func (s *server) search(ctx context.Context, l logSource, m *loglines.Matcher, from int64, limit int, hit func(loglines.Hit) error, tell func(loglines.Searched) error) (loglines.Searched, error) {
	wait := time.NewTimer(searchWait)
	defer wait.Stop()
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-wait.C:
		return loglines.Searched{}, errBusy
	case <-ctx.Done():
		return loglines.Searched{}, ctx.Err()
	}
	stream, err := s.stream(ctx, l, from)
	if err != nil {
		return loglines.Searched{}, err
	}
	defer stream.Close()
	return loglines.Search(ctx, stream, from, m, limit, hit, tell)
}

type searchHit struct {
	Line int64 `json:"line"`
	// HTML is the text around the match, which is marked.
	HTML   string   `json:"html"`
	Before []string `json:"before"`
	After  []string `json:"after"`
}

type searchState struct {
	Lines    int64 `json:"lines"`
	Bytes    int64 `json:"bytes"`
	Hits     int   `json:"hits"`
	Complete bool  `json:"complete"`
	// Next is the number of the first line that was not searched, from 0.
	Next int64 `json:"next"`
}

// logSearch searches a whole log. What it finds is streamed, an object a line: hit,
// progress, and at last end, which tells where to go on if that is not the end of the
// log.
func (s *server) logSearch(w http.ResponseWriter, r *http.Request) {
	w = s.patient(w)
	l, ok := s.logSourceOf(w, r)
	if !ok {
		return
	}
	m, err := queryOf(r.URL.Query()).compile()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamSearch)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	from := number(r.URL.Query().Get("from"))
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w).Flush
	out := json.NewEncoder(w)
	last := s.now()
	state := func(now loglines.Searched) searchState {
		return searchState{now.Lines, now.Bytes, now.Hits, now.Complete, from + now.Lines}
	}
	begun := false
	now, err := s.search(ctx, l, m, from, streamHits, func(h loglines.Hit) error {
		begun = true
		return out.Encode(map[string]searchHit{"hit": {
			Line: h.Line + 1, Before: readableAll(h.Before), After: readableAll(h.After),
			HTML: html.EscapeString(readable(h.Text[:h.From])) + "<mark>" + html.EscapeString(readable(h.Text[h.From:h.To])) + "</mark>" + html.EscapeString(readable(h.Text[h.To:])),
		}})
	}, func(now loglines.Searched) error {
		if s.now().Sub(last) < 200*time.Millisecond {
			return nil
		}
		last, begun = s.now(), true
		if err := out.Encode(map[string]searchState{"progress": state(now)}); err != nil {
			return err
		}
		return flush()
	})
	switch {
	case err == nil, ctx.Err() != nil:
	case begun:
		s.log.InfoContext(ctx, "a log cannot be searched to its end", "job", l.run.job, "build", l.run.build, "error", err)
		_ = out.Encode(map[string]string{"problem": "the log cannot be read on"})
		return
	case errors.Is(err, errBusy):
		busy(w, errors.New("too many logs are being searched at the moment; try again later"))
		return
	default:
		s.fail(w, r, err)
		return
	}
	_ = out.Encode(map[string]searchState{"end": state(now)}) // a viewer who left is no error
}
