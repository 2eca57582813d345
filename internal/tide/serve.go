package tide

import (
	"encoding/json"
	"net/http"

	"prow/internal/tide/history"
)

// Handler serves the pools, and the history at /history.
func Handler(pools func() []Pool, history *history.History) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, pools(), "[]") })
	mux.HandleFunc("/history", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, history.All(), "{}") })
	return mux
}

// writeJSON answers with a value, or with nothing of its kind.
func writeJSON(w http.ResponseWriter, v any, otherwise string) {
	body, err := json.Marshal(v)
	if err != nil {
		body = []byte(otherwise)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a client that left is its own business
}
