package local

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"sync"
	"time"
)

// past keeps states of the database for stale reads: read transactions that
// SQLite's write-ahead log lets see what was there when they began. States are
// kept only while a rule asks for them.
type past struct {
	f  *Forge
	mu sync.Mutex
	db *sql.DB
	// states, oldest first; one per committed write.
	states []*state
}

// state is the database as it was at a moment. Requests use it one at a time.
type state struct {
	at time.Time
	mu sync.Mutex
	tx *sql.Tx
}

type stateKey struct{}

// begin pins the present as the first state. It is called when a stale rule is made.
func (p *past) begin(ctx context.Context) error {
	p.f.writing.Lock()
	defer p.f.writing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db == nil {
		db, err := openDB(p.f.opts.Dir, maxStale+2)
		if err != nil {
			return err
		}
		p.db = db
	}
	if len(p.states) > 0 {
		return nil
	}
	return p.pin(ctx)
}

// pin adds the present. p.mu is held.
func (p *past) pin(ctx context.Context) error {
	tx, err := p.db.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM accounts").Scan(&n); err != nil { // the first read fixes the view
		return errors.Join(err, tx.Rollback())
	}
	p.states = append(p.states, &state{at: p.f.clock.Now(), tx: tx})
	if len(p.states) > maxStale {
		p.drop(1)
	}
	return nil
}

// drop forgets the n oldest states.
func (p *past) drop(n int) {
	for _, s := range p.states[:n] {
		s.mu.Lock()
		_ = s.tx.Rollback() // nothing was written
		s.mu.Unlock()
	}
	p.states = p.states[n:]
}

// committed is called after each write, before the next can begin.
func (p *past) committed(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.states) == 0 {
		return
	}
	if err := p.pin(ctx); err != nil {
		p.f.log.Error("Keeping a state for stale reads failed.", "error", err)
	}
}

// end forgets all states: no rule needs them any more.
func (p *past) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(len(p.states))
}

func (p *past) close() error {
	p.end()
	if p.db == nil {
		return nil
	}
	return p.db.Close()
}

// find chooses the state a rule means: so many changes or seconds ago, the
// oldest when that is before the rule.
func (p *past) find(rule *Fault) *state {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.states) == 0 {
		return nil
	}
	at := max(0, len(p.states)-1-rule.StaleVersions)
	if rule.StaleSeconds > 0 {
		limit := p.f.clock.Now().Add(-time.Duration(rule.StaleSeconds * float64(time.Second)))
		for at = len(p.states) - 1; at > 0 && p.states[at].at.After(limit); at-- {
		}
	}
	return p.states[at]
}

// serve lets a request read an old state. Writes go to the present, and so
// does what git answers.
func (p *past) serve(rule *Fault, next http.Handler, w http.ResponseWriter, r *http.Request) {
	if s := p.find(rule); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		r = r.WithContext(context.WithValue(r.Context(), stateKey{}, s))
	}
	next.ServeHTTP(w, r)
}
