package store

import (
	"context"
	"fmt"
	"time"
)

// Remember writes values down under keys, which replace older ones.
func (s *Store) Remember(ctx context.Context, values map[string][]byte, now time.Time) error {
	if len(values) == 0 {
		return nil
	}
	return s.commit(ctx, func(t *tx) error {
		for key, value := range values {
			if _, err := t.exec(`INSERT INTO remembered (key, used, value) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET used = excluded.used, value = excluded.value`,
				plainText(key), millis(now), value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Recall reads what is remembered under keys. What is not is left out.
func (s *Store) Recall(ctx context.Context, keys []string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(keys))
	err := inParts(keys, func(_ []string, marks string, args []any) error {
		return s.pairs(ctx, out, `SELECT key, value FROM remembered WHERE key IN (`+marks+`)`, args)
	})
	if err != nil {
		return nil, fmt.Errorf("read what is remembered: %w", err)
	}
	return out, nil
}

// KeepRemembered notes that what is under keys is of use.
func (s *Store) KeepRemembered(ctx context.Context, keys []string, now time.Time) error {
	return s.commit(ctx, func(t *tx) error {
		return inParts(keys, func(_ []string, marks string, args []any) error {
			_, err := t.exec(`UPDATE remembered SET used = ? WHERE key IN (`+marks+`)`, append([]any{millis(now)}, args...)...)
			return err
		})
	})
}

// Forget drops what is remembered and was not of use since a time, and all but the most
// newly used; it returns how many values those were.
func (s *Store) Forget(ctx context.Context, before time.Time, most int) (forgotten int64, err error) {
	var used int64
	rows, err := s.query(ctx, `SELECT used FROM remembered ORDER BY used DESC LIMIT 1 OFFSET ?`, most)
	if err != nil {
		return 0, fmt.Errorf("count what is remembered: %w", err)
	}
	if rows.Next() {
		err = rows.Scan(&used)
		if cut := time.UnixMilli(used + 1); err == nil && cut.After(before) {
			before = cut
		}
	}
	if err := firstError(err, rows.Err(), rows.Close()); err != nil {
		return 0, fmt.Errorf("count what is remembered: %w", err)
	}
	return s.inSteps(ctx, `DELETE FROM remembered WHERE key IN (SELECT key FROM remembered WHERE used < ? ORDER BY used LIMIT ?)`, millis(before))
}
