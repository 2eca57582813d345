package store

import (
	"context"
	"database/sql"
	"fmt"
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
	ID       string
	Event    string
	Received time.Time
	Payload  []byte
	// Attempts is how often its handling was begun.
	Attempts int
	State    string
}

// Outcome is how one handler of a delivery ended.
type Outcome struct {
	Handler  string
	Finished time.Time
	// Error is empty where it went well.
	Error string
}

// AddDelivery writes a delivery down. It is on disk when AddDelivery returns.
// added is false where a delivery with this id is known already.
func (s *Store) AddDelivery(ctx context.Context, d Delivery) (added bool, err error) {
	err = s.commit(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec(`INSERT INTO deliveries (id, event, received, payload, state) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			d.ID, d.Event, millis(d.Received), d.Payload, DeliveryNew)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		added = n == 1
		return err
	})
	return added && err == nil, err
}

// BeginDelivery counts an attempt before it is made, so that one that kills the
// process is known by its count. begun is false where the delivery has ended.
func (s *Store) BeginDelivery(ctx context.Context, id string) (begun bool, err error) {
	err = s.commit(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec(`UPDATE deliveries SET attempts = attempts + 1 WHERE id = ? AND state = ?`, id, DeliveryNew)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		begun = n == 1
		return err
	})
	return begun && err == nil, err
}

// AddOutcome records the end of a handler of a delivery, so that it is not run again.
func (s *Store) AddOutcome(ctx context.Context, id string, o Outcome) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO outcomes (delivery, handler, finished, error) VALUES (?, ?, ?, ?) ON CONFLICT (delivery, handler) DO UPDATE SET finished = excluded.finished, error = excluded.error`,
			id, o.Handler, millis(o.Finished), o.Error)
		return err
	})
}

// EndDelivery sets the final state of a delivery.
func (s *Store) EndDelivery(ctx context.Context, id, state string) error {
	return s.commit(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE deliveries SET state = ? WHERE id = ?`, state, id)
		return err
	})
}

// Outcomes lists what handlers of a delivery have ended, by handler.
func (s *Store) Outcomes(ctx context.Context, id string) (map[string]Outcome, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT handler, finished, error FROM outcomes WHERE delivery = ?`, id)
	if err != nil {
		return nil, fmt.Errorf("read outcomes of %s: %w", id, err)
	}
	defer rows.Close()
	out := map[string]Outcome{}
	for rows.Next() {
		var o Outcome
		var finished int64
		if err := rows.Scan(&o.Handler, &finished, &o.Error); err != nil {
			return nil, fmt.Errorf("read outcomes of %s: %w", id, err)
		}
		o.Finished = time.UnixMilli(finished)
		out[o.Handler] = o
	}
	return out, rows.Err()
}

// NewDeliveries lists deliveries that are not done, oldest first: at most limit
// of those that come after the given one; the zero Delivery comes before all.
func (s *Store) NewDeliveries(ctx context.Context, after Delivery, limit int) ([]Delivery, error) {
	from := int64(0)
	if !after.Received.IsZero() {
		from = millis(after.Received)
	}
	return s.deliveries(ctx, `SELECT id, event, received, payload, attempts, state FROM deliveries WHERE state = ? AND (received, id) > (?, ?) ORDER BY received, id LIMIT ?`, DeliveryNew, from, after.ID, limit)
}

// GetDelivery reads a delivery; found is false where there is none.
func (s *Store) GetDelivery(ctx context.Context, id string) (d Delivery, found bool, err error) {
	all, err := s.deliveries(ctx, `SELECT id, event, received, payload, attempts, state FROM deliveries WHERE id = ?`, id)
	if err != nil || len(all) == 0 {
		return Delivery{}, false, err
	}
	return all[0], true, nil
}

func (s *Store) deliveries(ctx context.Context, query string, args ...any) ([]Delivery, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	defer rows.Close()
	var out []Delivery
	for rows.Next() {
		var d Delivery
		var received int64
		if err := rows.Scan(&d.ID, &d.Event, &received, &d.Payload, &d.Attempts, &d.State); err != nil {
			return nil, fmt.Errorf("read deliveries: %w", err)
		}
		d.Received = time.UnixMilli(received)
		out = append(out, d)
	}
	return out, rows.Err()
}

// PruneDeliveries forgets deliveries that ended and were received before the
// given time, and returns how many those were.
func (s *Store) PruneDeliveries(ctx context.Context, before time.Time) (pruned int64, err error) {
	err = s.commit(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec(`DELETE FROM deliveries WHERE state <> ? AND received < ?`, DeliveryNew, millis(before))
		if err != nil {
			return err
		}
		pruned, err = res.RowsAffected()
		return err
	})
	return pruned, err
}
