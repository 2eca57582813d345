// Command remotelens is a sample of a lens that a service of its own serves: it lists the
// lines of text files that have a word. docs/lenses.md explains the protocol.
//
//	remotelens --deck=http://prow.example --address=127.0.0.1:8091
//	prow lens-kit --dir=testdata --lens=words --endpoint=http://127.0.0.1:8091/
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// question is what Deck asks.
type question struct {
	// Action is initial for a document, rerender for its body, callback for a text.
	Action string `json:"action"`
	// Data is what the script of the document sent.
	Data string `json:"data"`
	// Config is the lens's own part of Deck's configuration.
	Config struct {
		Word string `json:"word"`
	} `json:"config"`
	Artifacts []string `json:"artifacts"`
	Source    string   `json:"ArtifactSource"`
}

const (
	maxQuestion = 2 << 20
	maxFile     = 10 << 20
	maxLines    = 100
)

// words answers questions. Files are read from the site, as everybody may.
type words struct {
	deck   string
	client *http.Client
}

type file struct {
	Name, Problem string
	Lines         []string
}

// What a job wrote is hostile: html/template escapes it. The library that Deck serves has
// the global spyglass; the style sheet follows light and dark.
var page = template.Must(template.New("").Parse(`{{define "document"}}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Words</title>
<link rel="stylesheet" href="/static/spyglass/lens.css">
<script src="/static/spyglass_lens_bundle.min.js"></script>
</head><body class="lens-body"><main id="lens">{{template "body" .}}</main>
<script>
document.addEventListener('submit', (event) => {
  event.preventDefault();
  spyglass.updatePage(new FormData(event.target).get('word'));
});
</script></body></html>{{end}}
{{define "body"}}<form><label>Word <input name="word" value="{{.Word}}"></label> <button>Find</button></form>
{{range .Files}}<h3>{{.Name}}</h3>{{if .Problem}}<p class="problem">{{.Problem}}</p>{{end}}<pre>{{range .Lines}}{{.}}
{{end}}</pre>{{end}}{{end}}`))

func (l *words) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q question
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&q); err != nil {
		http.Error(w, "the question cannot be read", http.StatusBadRequest)
		return
	}
	name := map[string]string{"initial": "document", "rerender": "body"}[q.Action]
	if name == "" {
		http.Error(w, "this lens shows, and answers nothing", http.StatusBadRequest)
		return
	}
	view := struct {
		Word  string
		Files []file
	}{Word: q.Config.Word}
	if q.Action == "rerender" {
		view.Word = q.Data
	}
	for _, artifact := range q.Artifacts {
		f := file{Name: artifact}
		var err error
		if f.Lines, err = l.find(r.Context(), q.Source, artifact, view.Word); err != nil {
			f.Problem = err.Error()
		}
		view.Files = append(view.Files, f)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := page.ExecuteTemplate(w, name, view); err != nil {
		log.Print(err)
	}
}

// find reads a file through the site.
func (l *words) find(ctx context.Context, source, artifact, word string) ([]string, error) {
	if word == "" {
		return nil, nil
	}
	address, err := url.JoinPath(l.deck, "artifacts", source, artifact)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, errors.New("it cannot be reached")
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the site answers %s", resp.Status)
	}
	var out []string
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxFile))
	for lines.Scan() && len(out) < maxLines {
		if strings.Contains(lines.Text(), word) {
			out = append(out, lines.Text())
		}
	}
	return out, lines.Err()
}

func main() {
	deck := flag.String("deck", "http://127.0.0.1:8090", "URL of the site, or of lens-kit.")
	address := flag.String("address", "127.0.0.1:8091", "Address to listen on.")
	flag.Parse()
	server := &http.Server{
		Addr: *address, Handler: &words{*deck, &http.Client{Timeout: 20 * time.Second}}, ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
