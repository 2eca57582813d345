package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// States of a delivery.
const (
	// DeliveryNew: not all of its handlers have finished.
	DeliveryNew = "new"
	// DeliveryDone: all handlers have finished, well or not.
	DeliveryDone = "done"
	// DeliveryDead: it was begun too often without an end, so it is not begun again.
	DeliveryDead = "dead"
)

// Delivery is a webhook that was accepted.
type Delivery struct {
	// ID is the delivery id that the forge gave.
	ID    string
	Event string
	// Action is what happened, empty for events without actions.
	Action string
	// Repo is "org/repo", or "org" for events of an organisation.
	Repo     string
	Received time.Time
	Payload  []byte
	// Signature is that of the payload, as the forge sent it.
	Signature string
	// Attempts is how often its handling was begun.
	Attempts int
	State    string
}

// Outcome is how one handler of a delivery ended.
type Outcome struct {
	Handler  string
	Finished time.Time
	Took     time.Duration
	// Error is empty where it went well.
	Error string
}

// Owner is a process that handles deliveries until a time, if it does not extend it.
type Owner struct {
	ID    string
	Until time.Time
}

// AddDelivery writes a delivery down. It is on disk when AddDelivery returns. One
// that is DeliveryNew is begun by its owner, whom the zero Owner is not. added is
// false where a delivery with this id is known already.
func (s *Store) AddDelivery(ctx context.Context, d Delivery, owner Owner) (added bool, err error) {
	if d.State == "" {
		d.State = DeliveryNew
	}
	attempts, until := 0, int64(0)
	if owner.ID != "" && d.State == DeliveryNew {
		attempts, until = 1, millis(owner.Until)
	}
	err = s.commit(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO deliveries (id, event, action, repo, received, payload, signature, attempts, state, owner, owned_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			d.ID, d.Event, d.Action, d.Repo, millis(d.Received), d.Payload, d.Signature, attempts, d.State, owner.ID, until)
		added = n == 1
		return err
	})
	return added && err == nil, err
}

// BeginDelivery makes the owner handle a delivery that nobody handles. It counts
// the attempt before it is made, so that one that kills the process is known by
// its count. begun is false where the delivery has ended or has another owner.
func (s *Store) BeginDelivery(ctx context.Context, id string, owner Owner, now time.Time) (begun bool, err error) {
	err = s.commit(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE deliveries SET attempts = attempts + 1, owner = ?, owned_until = ? WHERE id = ? AND state = ? AND (owner = ? OR owned_until < ?)`,
			owner.ID, millis(owner.Until), id, DeliveryNew, owner.ID, millis(now))
		begun = n == 1
		return err
	})
	return begun && err == nil, err
}

// ExtendOwner lets the owner keep all deliveries that it handles.
func (s *Store) ExtendOwner(ctx context.Context, owner Owner) error {
	return s.commit(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE deliveries SET owned_until = ? WHERE state = ? AND owner = ?`, millis(owner.Until), DeliveryNew, owner.ID)
		return err
	})
}

// ReleaseDelivery gives a delivery back that its owner has not ended, as if the
// attempt had not been made. Until the given time nobody takes it up again.
func (s *Store) ReleaseDelivery(ctx context.Context, id, owner string, until time.Time) error {
	free := int64(0)
	if !until.IsZero() {
		free = millis(until)
	}
	return s.commit(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE deliveries SET attempts = attempts - 1, owner = '', owned_until = ? WHERE id = ? AND owner = ? AND attempts > 0`, free, id, owner)
		return err
	})
}

// AbandonDelivery gives a delivery back in the middle of an attempt, which counts.
func (s *Store) AbandonDelivery(ctx context.Context, id, owner string) error {
	return s.commit(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE deliveries SET owner = '', owned_until = 0 WHERE id = ? AND owner = ?`, id, owner)
		return err
	})
}

// ForgetOwners makes all deliveries free. A process does so at its start where no
// other may use the store.
func (s *Store) ForgetOwners(ctx context.Context) error {
	return s.commit(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE deliveries SET owner = '', owned_until = 0 WHERE state = ? AND owner <> ''`, DeliveryNew)
		return err
	})
}

// AddOutcome records the end of a handler of a delivery, so that it is not run again.
func (s *Store) AddOutcome(ctx context.Context, id string, o Outcome) error {
	return s.commit(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO outcomes (delivery, handler, finished, took, error) VALUES (?, ?, ?, ?, ?) ON CONFLICT (delivery, handler) DO UPDATE SET finished = excluded.finished, took = excluded.took, error = excluded.error`,
			id, o.Handler, millis(o.Finished), o.Took.Milliseconds(), plainText(o.Error))
		return err
	})
}

// plainText is a text that every database takes.
func plainText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
}

// EndDelivery sets the final state of a delivery.
func (s *Store) EndDelivery(ctx context.Context, id, state string) error {
	return s.commit(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE deliveries SET state = ?, owner = '', owned_until = 0 WHERE id = ?`, state, id)
		return err
	})
}

// ReplayDelivery makes a delivery that has ended new again, so that the handlers
// that failed are run once more, or all of them. The attempts before count as one,
// for these handlers may have had effects. found is false where there is no such
// delivery that has ended.
func (s *Store) ReplayDelivery(ctx context.Context, id string, all bool) (found bool, err error) {
	err = s.commit(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE deliveries SET state = ?, attempts = 1, owner = '', owned_until = 0 WHERE id = ? AND state <> ?`, DeliveryNew, id, DeliveryNew)
		if found = n == 1; err != nil || !found {
			return err
		}
		only := ` AND error <> ''`
		if all {
			only = ``
		}
		_, err = t.exec(`DELETE FROM outcomes WHERE delivery = ?`+only, id)
		return err
	})
	return found && err == nil, err
}

// Outcomes lists what handlers of a delivery have ended, by handler.
func (s *Store) Outcomes(ctx context.Context, id string) (map[string]Outcome, error) {
	all, err := s.outcomesOf(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	out := map[string]Outcome{}
	for _, o := range all[id] {
		out[o.Handler] = o
	}
	return out, nil
}

func (s *Store) outcomesOf(ctx context.Context, ids []string) (map[string][]Outcome, error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	rows, err := s.query(ctx, `SELECT delivery, handler, finished, took, error FROM outcomes WHERE delivery IN (?`+strings.Repeat(`, ?`, len(ids)-1)+`) ORDER BY delivery, handler`, args...)
	if err != nil {
		return nil, fmt.Errorf("read outcomes: %w", err)
	}
	defer rows.Close()
	out := map[string][]Outcome{}
	for rows.Next() {
		var o Outcome
		var id string
		var finished, took int64
		if err := rows.Scan(&id, &o.Handler, &finished, &took, &o.Error); err != nil {
			return nil, fmt.Errorf("read outcomes: %w", err)
		}
		o.Finished, o.Took = time.UnixMilli(finished), time.Duration(took)*time.Millisecond
		out[id] = append(out[id], o)
	}
	return out, rows.Err()
}

const deliveryColumns = `id, event, action, repo, received, attempts, state`

// FreeDeliveries lists deliveries that are not done and that nobody handles,
// oldest first: at most limit of those that come after the given one; the zero
// Delivery comes before all.
func (s *Store) FreeDeliveries(ctx context.Context, now time.Time, after Delivery, limit int) ([]Delivery, error) {
	from := int64(0)
	if !after.Received.IsZero() {
		from = millis(after.Received)
	}
	return s.deliveries(ctx, true, `SELECT `+deliveryColumns+`, payload, signature FROM deliveries WHERE state = ? AND owned_until < ? AND (received, id) > (?, ?) ORDER BY received, id LIMIT ?`,
		DeliveryNew, millis(now), from, after.ID, limit)
}

// GetDelivery reads a delivery; found is false where there is none.
func (s *Store) GetDelivery(ctx context.Context, id string) (d Delivery, found bool, err error) {
	all, err := s.deliveries(ctx, true, `SELECT `+deliveryColumns+`, payload, signature FROM deliveries WHERE id = ?`, id)
	if err != nil || len(all) == 0 {
		return Delivery{}, false, err
	}
	return all[0], true, nil
}

// Has tells which of the deliveries are known. It asks by parts, so that any number can be asked for.
func (s *Store) Has(ctx context.Context, ids []string) (map[string]bool, error) {
	out := map[string]bool{}
	for len(ids) > 0 {
		batch := ids[:min(len(ids), 500)]
		ids = ids[len(batch):]
		args := make([]any, len(batch))
		for i, id := range batch {
			args[i] = id
		}
		found, err := s.deliveries(ctx, false, `SELECT `+deliveryColumns+` FROM deliveries WHERE id IN (?`+strings.Repeat(`, ?`, len(batch)-1)+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			out[d.ID] = true
		}
	}
	return out, nil
}

// DeliveryQuery selects deliveries. Empty fields select all.
type DeliveryQuery struct {
	State, Event, Repo string
	// Failed selects those of which a handler failed.
	Failed bool
	// Before is the last delivery of the page before this one.
	Before Delivery
	// Limit is the size of the page.
	Limit int
}

// DeliveryRecord is a delivery, without its payload, with what became of it.
type DeliveryRecord struct {
	Delivery
	Outcomes []Outcome
}

// ListDeliveries lists deliveries, the newest first.
func (s *Store) ListDeliveries(ctx context.Context, q DeliveryQuery) ([]DeliveryRecord, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if q.State != "" {
		add(`state = ?`, q.State)
	}
	if q.Event != "" {
		add(`event = ?`, q.Event)
	}
	if q.Repo != "" {
		// "0" comes right after "/": an org selects its repositories too.
		add(`(repo = ? OR repo > ? AND repo < ?)`, q.Repo, q.Repo+"/", q.Repo+"0")
	}
	if q.Failed {
		add(`EXISTS (SELECT 1 FROM outcomes o WHERE o.delivery = deliveries.id AND o.error <> '')`)
	}
	if !q.Before.Received.IsZero() {
		add(`(received, id) < (?, ?)`, millis(q.Before.Received), q.Before.ID)
	}
	statement := `SELECT ` + deliveryColumns + ` FROM deliveries`
	if len(where) > 0 {
		statement += ` WHERE ` + strings.Join(where, ` AND `)
	}
	found, err := s.deliveries(ctx, false, statement+` ORDER BY received DESC, id DESC LIMIT ?`, append(args, q.Limit)...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	ids := make([]string, len(found))
	for i, d := range found {
		ids[i] = d.ID
	}
	outcomes, err := s.outcomesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]DeliveryRecord, len(found))
	for i, d := range found {
		out[i] = DeliveryRecord{d, outcomes[d.ID]}
	}
	return out, nil
}

func (s *Store) deliveries(ctx context.Context, payload bool, query string, args ...any) ([]Delivery, error) {
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	defer rows.Close()
	var out []Delivery
	for rows.Next() {
		d, err := scanDelivery(rows, payload)
		if err != nil {
			return nil, fmt.Errorf("read deliveries: %w", err)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

func scanDelivery(rows *sql.Rows, payload bool) (d Delivery, err error) {
	var received int64
	into := []any{&d.ID, &d.Event, &d.Action, &d.Repo, &received, &d.Attempts, &d.State}
	if payload {
		into = append(into, &d.Payload, &d.Signature)
	}
	err = rows.Scan(into...)
	d.Received = time.UnixMilli(received)
	return d, err
}

// CountDeliveries counts the deliveries in a state.
func (s *Store) CountDeliveries(ctx context.Context, state string) (n int, err error) {
	err = s.db.QueryRowContext(ctx, s.dialect.bind(`SELECT COUNT(*) FROM deliveries WHERE state = ?`), state).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count deliveries: %w", err)
	}
	return n, nil
}

// prunePart is how many rows one transaction forgets, so that what comes in
// meanwhile does not wait long.
const prunePart = 500

// PruneDeliveries forgets deliveries that ended and were received before the
// given time, and returns how many those were.
func (s *Store) PruneDeliveries(ctx context.Context, before time.Time) (pruned int64, err error) {
	return s.inSteps(ctx, `DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE state <> ? AND received < ? ORDER BY received LIMIT ?)`, DeliveryNew, millis(before))
}
