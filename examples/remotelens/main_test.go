package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	deck := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/artifacts/gs/b/logs/j/1/a.txt" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "one\nan error <b>\nthe end\n")
	}))
	defer deck.Close()
	lens := &words{deck.URL, deck.Client()}
	for body, want := range map[string]string{
		`{"action":"initial","config":{"word":"error"},"artifacts":["a.txt"],"ArtifactSource":"gs/b/logs/j/1","index":0}`:             "an error &lt;b&gt;",
		`{"action":"rerender","data":"end","config":{"word":"error"},"artifacts":["a.txt","b.txt"],"ArtifactSource":"gs/b/logs/j/1"}`: "the end",
		`{"action":"rerender","data":"x","artifacts":["b.txt"],"ArtifactSource":"gs/b/logs/j/1"}`:                                     "the site answers 404",
		`{"action":"callback"}`: "answers nothing",
		`{`:                     "cannot be read",
	} {
		w := httptest.NewRecorder()
		lens.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %d %s", body, w.Code, w.Body)
		}
		if document := strings.Contains(w.Body.String(), "<!doctype html>"); document != strings.Contains(body, "initial") {
			t.Errorf("%s: a document: %t", body, document)
		}
	}
}
