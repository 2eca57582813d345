package hook

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"prow/internal/store"
)

// DeliveriesPath is where administrators see deliveries and what became of them.
const DeliveriesPath = "/deliveries"

// deliveryPage and maxDeliveryPage are how many deliveries one answer lists.
const (
	deliveryPage    = 50
	maxDeliveryPage = 500
)

// DeliveryList is the answer of GET /deliveries.
type DeliveryList struct {
	Deliveries []Delivery `json:"deliveries"`
	// Next, as the query parameter "before", gives the next page; empty at the end.
	Next string `json:"next,omitempty"`
	// Waiting and Dead count the deliveries whose work has not ended, and those put aside.
	Waiting int `json:"waiting"`
	Dead    int `json:"dead"`
}

// Delivery is one delivery in such an answer.
type Delivery struct {
	ID       string    `json:"id"`
	Event    string    `json:"event"`
	Action   string    `json:"action,omitempty"`
	Repo     string    `json:"repo,omitempty"`
	Received time.Time `json:"received"`
	// State is new, done or dead.
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`
	Outcomes []Outcome `json:"outcomes,omitempty"`
	// Payload is there where one delivery is asked for.
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Outcome is how a handler of a delivery ended.
type Outcome struct {
	// Handler is plugin/kind, or external:plugin.
	Handler  string    `json:"handler"`
	Finished time.Time `json:"finished"`
	TookMS   int64     `json:"took_ms"`
	Error    string    `json:"error,omitempty"`
}

// deliveryStore is what the list needs of the store.
type deliveryStore interface {
	ListDeliveries(ctx context.Context, q store.DeliveryQuery) ([]store.DeliveryRecord, error)
	GetDelivery(ctx context.Context, id string) (store.Delivery, bool, error)
	Outcomes(ctx context.Context, id string) (map[string]store.Outcome, error)
	ReplayDelivery(ctx context.Context, id string, all bool) (bool, error)
	CountDeliveries(ctx context.Context, state string) (int, error)
}

// deliveries serves the list to those who have the token of administrators.
type deliveries struct {
	store deliveryStore
	// token is the current token; "" serves nobody.
	token func() string
	// replay takes up what was made new again.
	replay func()
	log    *slog.Logger
}

func (s *deliveries) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+DeliveriesPath, s.list)
	mux.HandleFunc("GET "+DeliveriesPath+"/{id}", s.get)
	mux.HandleFunc("POST "+DeliveriesPath+"/{id}/replay", s.again)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		token := s.token()
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if token == "" || !ok || subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			http.Error(w, "401 Unauthorized: the token of --admin-token-file is needed", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *deliveries) list(w http.ResponseWriter, r *http.Request) {
	q, err := deliveryQuery(r)
	if err != "" {
		http.Error(w, "400 Bad Request: "+err, http.StatusBadRequest)
		return
	}
	found, failed := s.store.ListDeliveries(r.Context(), q)
	if failed != nil {
		s.fail(w, r, failed)
		return
	}
	out := DeliveryList{Deliveries: make([]Delivery, 0, len(found))}
	for _, d := range found {
		out.Deliveries = append(out.Deliveries, view(d.Delivery, d.Outcomes))
	}
	if len(found) == q.Limit {
		last := found[len(found)-1]
		out.Next = strconv.FormatInt(last.Received.UnixMilli(), 10) + "," + last.ID
	}
	if out.Waiting, failed = s.store.CountDeliveries(r.Context(), store.DeliveryNew); failed == nil {
		out.Dead, failed = s.store.CountDeliveries(r.Context(), store.DeliveryDead)
	}
	if failed != nil {
		s.fail(w, r, failed)
		return
	}
	answer(w, out)
}

// deliveryQuery reads a query; what is wrong with it is returned as a sentence.
func deliveryQuery(r *http.Request) (q store.DeliveryQuery, wrong string) {
	v := r.URL.Query()
	q = store.DeliveryQuery{State: v.Get("state"), Event: v.Get("event"), Repo: v.Get("repo"), Failed: v.Get("failed") == "true", Limit: deliveryPage}
	switch q.State {
	case "", store.DeliveryNew, store.DeliveryDone, store.DeliveryDead:
	default:
		return q, "state is none of new, done and dead"
	}
	if limit := v.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > maxDeliveryPage {
			return q, "limit is not a number from 1 to " + strconv.Itoa(maxDeliveryPage)
		}
		q.Limit = n
	}
	if before := v.Get("before"); before != "" {
		at, id, _ := strings.Cut(before, ",")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil || id == "" {
			return q, "before is not what an earlier answer gave as next"
		}
		q.Before = store.Delivery{ID: id, Received: time.UnixMilli(ms)}
	}
	return q, ""
}

func view(d store.Delivery, outcomes []store.Outcome) Delivery {
	out := Delivery{ID: d.ID, Event: d.Event, Action: d.Action, Repo: d.Repo, Received: d.Received.UTC(), State: d.State, Attempts: d.Attempts}
	for _, o := range outcomes {
		out.Outcomes = append(out.Outcomes, Outcome{Handler: o.Handler, Finished: o.Finished.UTC(), TookMS: o.Took.Milliseconds(), Error: o.Error})
	}
	return out
}

func (s *deliveries) get(w http.ResponseWriter, r *http.Request) {
	d, found, err := s.store.GetDelivery(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !found {
		http.Error(w, "404 Not Found: there is no such delivery", http.StatusNotFound)
		return
	}
	outcomes, err := s.store.Outcomes(r.Context(), d.ID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	out := view(d, nil)
	for _, o := range outcomes {
		out.Outcomes = append(out.Outcomes, Outcome{Handler: o.Handler, Finished: o.Finished.UTC(), TookMS: o.Took.Milliseconds(), Error: o.Error})
	}
	if json.Valid(d.Payload) {
		out.Payload = d.Payload
	}
	answer(w, out)
}

// again replays a delivery: the handlers that failed, or with all=true every one.
func (s *deliveries) again(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	found, err := s.store.ReplayDelivery(r.Context(), id, r.URL.Query().Get("all") == "true")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !found {
		http.Error(w, "404 Not Found: there is no such delivery that has ended", http.StatusNotFound)
		return
	}
	s.log.InfoContext(r.Context(), "a delivery is replayed", "event-GUID", id, "all", r.URL.Query().Get("all") == "true")
	s.replay()
	w.WriteHeader(http.StatusAccepted)
}

func (s *deliveries) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.log.ErrorContext(r.Context(), "deliveries cannot be shown", "error", err)
	http.Error(w, "500 Internal Server Error: the store cannot be read", http.StatusInternalServerError)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}
