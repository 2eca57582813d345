package hook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/store"
)

// maxBody is the largest payload that GitHub sends, in bytes.
const maxBody = 25 << 20

// acceptor checks deliveries and answers them.
type acceptor struct {
	// keys are the current secrets.
	keys func() Keys
	// take makes a delivery durable.
	take  func(ctx context.Context, d store.Delivery) error
	now   func() time.Time
	log   *slog.Logger
	codes *prometheus.CounterVec
	count *prometheus.CounterVec
}

func (a *acceptor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code, text := a.accept(w, r)
	a.codes.WithLabelValues(strconv.Itoa(code)).Inc()
	if code == http.StatusOK {
		_, _ = io.WriteString(w, text)
		return
	}
	http.Error(w, text, code)
}

// accept makes the checks in their documented order; the first that fails decides.
func (a *acceptor) accept(w http.ResponseWriter, r *http.Request) (code int, text string) {
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
	case len(event) > 100 || len(id) > 200:
		return http.StatusBadRequest, "400 Bad Request: X-GitHub-Event or X-GitHub-Delivery is too long"
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, "413 Request Entity Too Large: the limit is " + strconv.Itoa(maxBody) + " bytes"
	}
	if err != nil {
		return http.StatusInternalServerError, "500 Internal Server Error: Failed to read request body"
	}
	var sender struct {
		Repo struct {
			FullName string `json:"full_name"`
		} `json:"repository"`
		Org struct {
			Login string `json:"login"`
		} `json:"organization"`
	}
	if err := json.Unmarshal(body, &sender); err != nil || !valid(body, signature, a.keys().candidates(sender.Repo.FullName, sender.Org.Login)) {
		return http.StatusForbidden, "403 Forbidden: Invalid X-Hub-Signature-256"
	}
	a.count.WithLabelValues(event).Inc()
	if err := a.take(r.Context(), store.Delivery{ID: id, Event: event, Received: a.now(), Payload: body}); err != nil {
		// Not answered with 2xx: the forge keeps it and can be asked to send it again.
		a.log.ErrorContext(r.Context(), "a delivery could not be written down", "event-type", event, "event-GUID", id, "error", err)
		return http.StatusServiceUnavailable, "503 Service Unavailable: the delivery could not be stored"
	}
	return http.StatusOK, "Event received. Have a nice day."
}
