package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/service"
	"prow/internal/store"
)

// maxBody is the largest payload that GitHub sends, in bytes.
const maxBody = 25 << 20

// Acceptor is the handler that checks deliveries, hands them on and answers them.
type Acceptor struct {
	// keys are the current secrets.
	keys func() Keys
	// take makes a delivery durable.
	take  func(ctx context.Context, d store.Delivery) error
	now   func() time.Time
	log   *slog.Logger
	codes *prometheus.CounterVec
	count *prometheus.CounterVec
}

// NewAcceptor is an Acceptor of deliveries that are signed with one of the current
// keys. When take returns, a delivery must be durable.
func NewAcceptor(keys func() Keys, take func(context.Context, store.Delivery) error, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *Acceptor {
	return &Acceptor{
		keys: keys, take: take, now: now, log: log,
		codes: service.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prow_webhook_response_codes", Help: "Number of answers to webhooks, by status code."}, []string{"response_code"})),
		count: service.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prow_webhook_counter", Help: "Number of valid deliveries, by kind of event."}, []string{"event_type"})),
	}
}

func (a *Acceptor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code, text := a.accept(w, r)
	a.codes.WithLabelValues(strconv.Itoa(code)).Inc()
	if code == http.StatusOK {
		_, _ = io.WriteString(w, text)
		return
	}
	http.Error(w, text, code)
}

// accept makes the checks in their documented order; the first that fails decides.
func (a *Acceptor) accept(w http.ResponseWriter, r *http.Request) (code int, text string) {
	event, id, signature := r.Header.Get("X-GitHub-Event"), r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-Hub-Signature-256")
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "405 Method not allowed"
	case event == "":
		return http.StatusBadRequest, "400 Bad Request: Missing X-GitHub-Event Header"
	case id == "":
		return http.StatusBadRequest, "400 Bad Request: Missing X-GitHub-Delivery Header"
	case signature == "":
		return http.StatusForbidden, "403 Forbidden: Missing X-Hub-Signature-256"
	case r.Header.Get("Content-Type") != "application/json":
		return http.StatusBadRequest, "400 Bad Request: Hook only accepts content-type: application/json - please reconfigure this hook on GitHub"
	case !wellFormed(event, 100) || !wellFormed(id, 200):
		return http.StatusBadRequest, "400 Bad Request: X-GitHub-Event or X-GitHub-Delivery is malformed"
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, "413 Request Entity Too Large: the limit is " + strconv.Itoa(maxBody) + " bytes"
	}
	if err != nil {
		return http.StatusInternalServerError, "500 Internal Server Error: Failed to read request body"
	}
	var s sender
	if err := json.Unmarshal(body, &s); err != nil || !valid(body, signature, a.keys().candidates(s.Repo.FullName, s.Org.Login)) {
		return http.StatusForbidden, "403 Forbidden: Invalid X-Hub-Signature-256"
	}
	name, err := s.name()
	if err != nil {
		a.log.WarnContext(r.Context(), "a delivery says of itself that it is of several repositories", "event-type", event, "event-GUID", id, "error", err)
		return http.StatusForbidden, "403 Forbidden: " + err.Error()
	}
	a.count.WithLabelValues(event).Inc()
	if err := a.take(r.Context(), store.Delivery{ID: id, Event: event, Repo: name, Action: plain(s.Action), Received: a.now(), Payload: body, Signature: signature}); err != nil {
		// Not answered with 2xx: the forge keeps it and can be asked to send it again.
		a.log.ErrorContext(r.Context(), "a delivery could not be written down", "event-type", event, "event-GUID", id, "error", err)
		return http.StatusServiceUnavailable, "503 Service Unavailable: the delivery could not be stored"
	}
	return http.StatusOK, "Event received. Have a nice day."
}

// wellFormed tells whether a header is short, plain text.
func wellFormed(header string, limit int) bool {
	return len(header) <= limit && plain(header) == header
}

// plain is a text without anything but printable ASCII, and not long.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return text[:min(len(text), 200)]
}

// sender is what a payload says of whose it is. The secret is chosen by it, and so
// is what is done.
type sender struct {
	Action string     `json:"action"`
	Repo   senderRepo `json:"repository"`
	Org    struct {
		Login string `json:"login"`
	} `json:"organization"`
	PullRequest struct {
		Base struct {
			Repo senderRepo `json:"repo"`
		} `json:"base"`
	} `json:"pull_request"`
}

type senderRepo struct {
	FullName string `json:"full_name"`
	Name     string `json:"name"`
	Owner    struct {
		Login string `json:"login"`
		Name  string `json:"name"`
	} `json:"owner"`
}

// name is the repository, or the organisation of an event without one. It is an
// error where the parts of the payload disagree: one who knows the secret of one
// repository could have something done in another.
func (s *sender) name() (string, error) {
	full := s.Repo.FullName
	if full == "" && (s.Repo != (senderRepo{}) || s.PullRequest.Base.Repo != (senderRepo{})) {
		return "", errors.New("repository.full_name is missing")
	}
	if full == "" {
		return plain(s.Org.Login), nil
	}
	owner, _, _ := strings.Cut(full, "/")
	for _, claim := range []struct{ field, got, want string }{
		{"repository.owner.login/name", s.Repo.loginAndName(), full},
		{"repository.owner.name", s.Repo.Owner.Name, owner},
		{"organization.login", s.Org.Login, owner},
		{"pull_request.base.repo.full_name", s.PullRequest.Base.Repo.FullName, full},
		{"pull_request.base.repo.owner.login/name", s.PullRequest.Base.Repo.loginAndName(), full},
	} {
		if claim.got != "" && !strings.EqualFold(claim.got, claim.want) {
			return "", fmt.Errorf("repository.full_name and %s disagree", claim.field)
		}
	}
	return plain(full), nil
}

// loginAndName is "" where the payload does not say either.
func (r *senderRepo) loginAndName() string {
	if r.Name == "" && r.Owner.Login == "" {
		return ""
	}
	return r.Owner.Login + "/" + r.Name
}
