package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Fault is a rule by which the forge misbehaves, so that clients can be tested
// against what the real one does on bad days. Rules are tried in the order in
// which they were made; the first that matches is applied.
type Fault struct {
	ID int64 `json:"id"`

	// Which requests: Method is one method, or empty. Path is a regular expression
	// for the path and query, or for the URL of a webhook. Login is an account, or
	// "anonymous".
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	Login  string `json:"login,omitempty"`
	// Event and Action select webhooks; they make the rule one for webhooks, as Webhook does.
	Event  string `json:"event,omitempty"`
	Action string `json:"action,omitempty"`

	// How often: the first Skip matches pass, then Times are hit (0 for all), for
	// Seconds from now (0 for ever), each with Probability (0 for always), drawn
	// from a generator that starts from Seed.
	Skip        int     `json:"skip,omitempty"`
	Times       int     `json:"times,omitempty"`
	Seconds     float64 `json:"seconds,omitempty"`
	Probability float64 `json:"probability,omitempty"`
	Seed        uint64  `json:"seed,omitempty"`

	// What happens to a request. DelaySeconds comes before all others.
	DelaySeconds float64           `json:"delay_seconds,omitempty"`
	Status       int               `json:"status,omitempty"`
	Body         string            `json:"body,omitempty"`
	Headers      map[string]string `json:"headers,omitempty"`
	// Drop closes the connection without an answer; Lose does so after the
	// request was carried out; Truncate sends that many bytes of the answer only.
	Drop     bool `json:"drop,omitempty"`
	Lose     bool `json:"lose,omitempty"`
	Truncate *int `json:"truncate,omitempty"`
	// StaleVersions and StaleSeconds answer from the state that many changes or
	// seconds ago, but not from before the rule was made.
	StaleVersions int     `json:"stale_versions,omitempty"`
	StaleSeconds  float64 `json:"stale_seconds,omitempty"`

	// Webhook is drop, duplicate or reorder (behind the next one of the same
	// hook and repository).
	Webhook string `json:"webhook,omitempty"`

	// Hits counts how often the rule was applied.
	Hits int `json:"hits"`
}

// maxFaults bounds the rules, maxStale the states kept for stale reads.
const (
	maxFaults = 100
	maxStale  = 32
)

// faults holds the rules in force.
type faults struct {
	clock clock.Clock
	mu    sync.Mutex
	next  int64
	rules []*faultRule
}

type faultRule struct {
	Fault
	path *regexp.Regexp
	rnd  *rand.Rand
	made time.Time
	seen int
}

func (r *Fault) forWebhooks() bool { return r.Webhook != "" || r.Event != "" || r.Action != "" }

func (r *Fault) stale() bool { return r.StaleVersions > 0 || r.StaleSeconds > 0 }

// check refuses rules that cannot be applied.
func (r *Fault) check() error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(r.Status == 0 || r.Status >= 100 && r.Status <= 599, "status %d: want 100 to 599", r.Status)
	bad(r.Probability >= 0 && r.Probability <= 1, "probability %v: want 0 to 1", r.Probability)
	bad(r.Skip >= 0 && r.Times >= 0 && r.Seconds >= 0 && r.DelaySeconds >= 0 && r.StaleSeconds >= 0, "negative numbers mean nothing")
	bad(r.StaleVersions >= 0 && r.StaleVersions < maxStale, "stale_versions %d: want less than %d", r.StaleVersions, maxStale)
	bad(r.DelaySeconds <= 600, "delay_seconds %v: want at most 600", r.DelaySeconds)
	bad(len(r.Body) <= 1<<20, "body of %d bytes: want at most 1 MiB", len(r.Body))
	bad(r.Truncate == nil || *r.Truncate >= 0, "truncate: want 0 or more")
	bad(slices.Contains([]string{"", "drop", "duplicate", "reorder"}, r.Webhook), "webhook %q: want drop, duplicate or reorder", r.Webhook)
	bad(r.Webhook == "" || r.Status == 0 && !r.Drop && !r.Lose && r.Truncate == nil && !r.stale(), "a rule for webhooks cannot answer requests")
	bad(r.forWebhooks() || r.DelaySeconds > 0 || r.Status != 0 || r.Drop || r.Lose || r.Truncate != nil || r.stale() || len(r.Headers) > 0, "the rule does nothing")
	return errors.Join(errs...)
}

// add puts a rule in force.
func (f *faults) add(r Fault) (*Fault, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	path, err := regexp.Compile(r.Path)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.rules) >= maxFaults {
		return nil, fmt.Errorf("there are %d rules already", maxFaults)
	}
	f.next++
	r.ID, r.Hits = f.next, 0
	f.rules = append(f.rules, &faultRule{Fault: r, path: path, rnd: rand.New(rand.NewPCG(r.Seed, 0)), made: f.clock.Now()}) //nolint:gosec // repeatable on purpose
	return &r, nil
}

// list returns the rules with their counts.
func (f *faults) list() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []Fault{}
	for _, r := range f.rules {
		out = append(out, r.Fault)
	}
	return out
}

// remove ends one rule, or all with id 0. It reports whether there was one.
func (f *faults) remove(id int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.rules)
	f.rules = slices.DeleteFunc(f.rules, func(r *faultRule) bool { return id == 0 || r.ID == id })
	return id == 0 || len(f.rules) < n
}

// pick returns the first rule that fits and counts it. fits is asked for rules
// that have not run out, in order.
func (f *faults) pick(fits func(*faultRule) bool) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if r.Seconds > 0 && f.clock.Since(r.made).Seconds() >= r.Seconds || r.Times > 0 && r.Hits >= r.Times || !fits(r) {
			continue
		}
		if r.seen++; r.seen <= r.Skip {
			continue
		}
		if r.Probability > 0 && r.rnd.Float64() >= r.Probability {
			continue
		}
		r.Hits++
		hit := r.Fault
		return &hit
	}
	return nil
}

// any says whether there are rules at all, which is the fast way out.
func (f *faults) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.rules) > 0
}

// wait delays until the clock has passed d or ctx ends.
func (f *faults) wait(ctx context.Context, seconds float64) {
	if seconds <= 0 {
		return
	}
	t := f.clock.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer t.Stop()
	select {
	case <-t.C():
	case <-ctx.Done():
	}
}

// withFaults applies the rules to requests.
func (f *Forge) withFaults(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.faults.any() {
			next.ServeHTTP(w, r)
			return
		}
		who, known := "", false
		login := func() string {
			if !known {
				known = true
				if c, err := f.authenticate(r); err == nil {
					who = c.who()
				}
			}
			return who
		}
		rule := f.faults.pick(func(x *faultRule) bool {
			return !x.forWebhooks() && (x.Method == "" || strings.EqualFold(x.Method, r.Method)) && x.path.MatchString(r.URL.RequestURI()) &&
				(x.Login == "" || strings.EqualFold(x.Login, login()))
		})
		if rule == nil {
			next.ServeHTTP(w, r)
			return
		}
		f.misbehave(rule, next, w, r)
	})
}

// misbehave answers a request as a rule says.
func (f *Forge) misbehave(rule *Fault, next http.Handler, w http.ResponseWriter, r *http.Request) {
	f.faults.wait(r.Context(), rule.DelaySeconds)
	for k, v := range rule.Headers {
		w.Header().Set(k, v)
	}
	switch {
	case rule.Drop:
		panic(http.ErrAbortHandler)
	case rule.Lose:
		next.ServeHTTP(&capture{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case rule.Status != 0:
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
		}
		w.WriteHeader(rule.Status)
		_, _ = w.Write([]byte(rule.Body)) // the client is gone
	case rule.Truncate != nil:
		c := &capture{header: w.Header()}
		next.ServeHTTP(c, r)
		w.Header().Set("Content-Length", itoa(c.body.Len()))
		w.WriteHeader(c.code())
		_, _ = w.Write(c.body.Bytes()[:min(*rule.Truncate, c.body.Len())])
		_ = http.NewResponseController(w).Flush() // what was promised must get out before the cut
		if *rule.Truncate < c.body.Len() {
			panic(http.ErrAbortHandler)
		}
	case rule.stale():
		f.past.serve(rule, next, w, r)
	default:
		next.ServeHTTP(w, r)
	}
}

// capture keeps an answer instead of sending it.
type capture struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (c *capture) Header() http.Header { return c.header }

func (c *capture) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

func (c *capture) Write(p []byte) (int, error) { return c.body.Write(p) }

func (c *capture) code() int {
	if c.status == 0 {
		return http.StatusOK
	}
	return c.status
}

// webhookFault finds the rule for a delivery.
func (f *Forge) webhookFault(h *hook, d *delivery) *Fault {
	if !f.faults.any() {
		return nil
	}
	return f.faults.pick(func(x *faultRule) bool {
		return x.forWebhooks() && (x.Event == "" || x.Event == d.Event) && (x.Action == "" || x.Action == d.Action) && x.path.MatchString(h.URL)
	})
}
