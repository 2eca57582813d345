package deck

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"prow/internal/deck/csrf"
)

// deliveriesAgent asks hook for its deliveries, with the token of administrators.
type deliveriesAgent struct {
	// base is the URL of the list.
	base  string
	token func() string
}

// newDeliveriesAgent finds the list beside hook's plugin help.
func newDeliveriesAgent(helpURL string, token func() string) (*deliveriesAgent, error) {
	u, err := url.Parse(helpURL)
	if err != nil {
		return nil, err
	}
	return &deliveriesAgent{base: u.ResolveReference(&url.URL{Path: "/deliveries"}).String(), token: token}, nil
}

// deliveryList is what hook answers.
type deliveryList struct {
	Deliveries []delivery `json:"deliveries"`
	Next       string     `json:"next"`
	Waiting    int        `json:"waiting"`
	Dead       int        `json:"dead"`
}

type delivery struct {
	ID       string            `json:"id"`
	Event    string            `json:"event"`
	Action   string            `json:"action"`
	Repo     string            `json:"repo"`
	Received time.Time         `json:"received"`
	State    string            `json:"state"`
	Attempts int               `json:"attempts"`
	Outcomes []deliveryOutcome `json:"outcomes"`
}

type deliveryOutcome struct {
	Handler string `json:"handler"`
	TookMS  int64  `json:"took_ms"`
	Error   string `json:"error"`
}

// Failed tells whether a handler failed.
func (d delivery) Failed() bool {
	for _, o := range d.Outcomes {
		if o.Error != "" {
			return true
		}
	}
	return false
}

func (a *deliveriesAgent) list(ctx context.Context, query url.Values) (out deliveryList, err error) {
	target := a.base
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return out, fetchJSON(ctx, target, &out, "Bearer "+a.token())
}

// replay has the failed handlers of a delivery run again, or all.
func (a *deliveriesAgent) replay(ctx context.Context, id string, all bool) error {
	target := a.base + "/" + url.PathEscape(id) + "/replay"
	if all {
		target += "?all=true"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.token())
	resp, err := (&http.Client{Timeout: fetchTimeout}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // there is nothing to read
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("replaying delivery %s: the answer is %s", id, resp.Status)
	}
	return nil
}

// deliveriesQuery keeps what of a query hook knows.
func deliveriesQuery(r *http.Request) url.Values {
	out := url.Values{}
	for _, key := range []string{"state", "event", "repo", "failed", "before"} {
		if v := strings.TrimSpace(r.URL.Query().Get(key)); v != "" {
			out.Set(key, v)
		}
	}
	return out
}

func (s *server) deliveriesPage(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.administers(w, r); !ok {
		return
	}
	query := deliveriesQuery(r)
	found, err := s.deliveries.list(r.Context(), query)
	body := struct {
		deliveryList
		States   map[string]string
		Query    map[string]string
		Older    string
		Problem  bool
		Replayed string
		// Field and Token are the token of the forms.
		Field, Token string
	}{Field: csrf.Field, Token: s.access.guard.Token(w, r), deliveryList: found, Query: map[string]string{}, States: map[string]string{"new": "waiting", "done": "ended", "dead": "put aside"}, Problem: err != nil, Replayed: r.URL.Query().Get("replayed")}
	for key := range query {
		body.Query[key] = query.Get(key)
	}
	if err != nil {
		s.log.WarnContext(r.Context(), "hook's deliveries cannot be had", "error", err)
	}
	if found.Next != "" {
		query.Set("before", found.Next)
		body.Older = "?" + query.Encode()
	}
	s.render(w, r, "deliveries", "Webhooks", body)
}

func (s *server) deliveriesJS(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.administers(w, r); !ok {
		return
	}
	found, err := s.deliveries.list(r.Context(), deliveriesQuery(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	noStore(w)
	s.writeData(w, r, jsonBody(found))
}

// replayDelivery is what the button of the page does. A form of another site
// cannot send it.
func (s *server) replayDelivery(w http.ResponseWriter, r *http.Request) {
	user, ok := s.administers(w, r)
	if !ok {
		return
	}
	id := r.PathValue("id")
	if err := s.deliveries.replay(r.Context(), id, r.FormValue("all") == "true"); err != nil {
		s.fail(w, r, err)
		return
	}
	s.log.InfoContext(r.Context(), "audit", "action", "replay", "allowed", true, "user", user, "event-GUID", id, "client", r.RemoteAddr)
	seeOther(w, http.StatusSeeOther, rootOf(r)+"deliveries?replayed="+url.QueryEscape(id))
}
