package tot

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/singleflight"
)

// PeekHeader carries the last number in the answer to HEAD, whose body HTTP
// drops. In a GET request it asks for the last number instead of a new one.
const PeekHeader = "X-Tot-Last"

// maxJobName bounds what is kept for a job.
const maxJobName = 1024

// Server answers GET (a new number), HEAD (the last one) and POST (set it) of
// /vend/<job>.
type Server struct {
	Store *Store
	// Fallback may be nil.
	Fallback *Fallback
	Log      *slog.Logger

	unknown singleflight.Group
}

// Handler serves /vend/.
func (s *Server) Handler() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /vend/{job...}", s.named(func(w http.ResponseWriter, r *http.Request, job string) {
		if r.Method == http.MethodHead || r.Header.Get(PeekHeader) != "" {
			s.peek(w, job)
			return
		}
		s.vend(w, r, job)
	}))
	mux.HandleFunc("POST /vend/{job...}", s.named(s.set))
	return mux
}

func (s *Server) named(serve func(w http.ResponseWriter, r *http.Request, job string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		job := r.PathValue("job")
		if job == "" || len(job) > maxJobName {
			http.Error(w, "give the name of a job after /vend/", http.StatusBadRequest)
			return
		}
		serve(w, r, job)
	}
}

func (s *Server) peek(w http.ResponseWriter, job string) {
	n, _ := s.Store.Peek(job)
	w.Header().Set(PeekHeader, strconv.Itoa(n))
	_, _ = io.WriteString(w, strconv.Itoa(n))
}

func (s *Server) vend(w http.ResponseWriter, r *http.Request, job string) {
	base := 0
	if _, known := s.Store.Peek(job); !known && s.Fallback != nil {
		// Requests for one unknown job ask once, and hold up no other job.
		last, err, _ := s.unknown.Do(job, func() (any, error) { return s.Fallback.Last(r.Context(), job) })
		if err != nil {
			s.Log.ErrorContext(r.Context(), "begins at 1, as the last build was not found out", "job", job, "error", err)
		} else {
			base = last.(int) //nolint:errcheck // the function above returns one
		}
	}
	n, err := s.Store.Vend(job, base)
	if err != nil {
		s.unavailable(w, r, job, err)
		return
	}
	_, _ = io.WriteString(w, strconv.Itoa(n))
}

func (s *Server) set(w http.ResponseWriter, r *http.Request, job string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNumberBody))
	var n int
	if err == nil {
		n, err = strconv.Atoi(strings.TrimSpace(string(body)))
	}
	if err != nil {
		s.Log.WarnContext(r.Context(), "not a number", "job", job, "error", err)
		http.Error(w, "the body is not a decimal number", http.StatusBadRequest)
		return
	}
	if err := s.Store.Set(job, n); err != nil {
		s.unavailable(w, r, job, err)
	}
}

func (s *Server) unavailable(w http.ResponseWriter, r *http.Request, job string, err error) {
	s.Log.ErrorContext(r.Context(), "no number was handed out", "job", job, "error", err)
	http.Error(w, "the number could not be stored", http.StatusServiceUnavailable)
}
