package local

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// maxStatements bounds the statements kept prepared. Searches make statements
// of their own, more than can be kept.
const maxStatements = 400

// statements prepares each query once: parsing SQL costs more than most of the
// forge's queries take.
type statements struct {
	db   *sql.DB
	mu   sync.RWMutex
	kept map[string]*sql.Stmt
}

func newStatements(db *sql.DB) *statements {
	return &statements{db: db, kept: map[string]*sql.Stmt{}}
}

// QueryContext runs a query, prepared where it has been seen before.
func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s.mu.RLock()
	st, full := s.kept[query], len(s.kept) >= maxStatements
	s.mu.RUnlock()
	if st == nil && full {
		return s.db.QueryContext(ctx, query, args...)
	}
	if st == nil {
		made, err := s.db.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		if st = s.kept[query]; st == nil && len(s.kept) < maxStatements {
			st, s.kept[query] = made, made
		}
		s.mu.Unlock()
		if st != made { // somebody else was faster, or the last place is taken
			if err := made.Close(); err != nil {
				return nil, err
			}
			if st == nil {
				return s.db.QueryContext(ctx, query, args...)
			}
		}
	}
	return st.QueryContext(ctx, args...)
}

// Close releases the statements and the database.
func (s *statements) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.kept {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}
