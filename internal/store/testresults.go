package store

import (
	"context"
	"fmt"
	"time"
)

// TestResults are the results of the tests of a build, in a form that only the writer
// knows. The names of the tests are apart: most builds of a job have them in common.
type TestResults struct {
	// Key names the build, and how it was read.
	Key string
	// Names is what the names are called, which follows from them.
	Names string
	// Ended is when the build ended.
	Ended time.Time
	Body  []byte
}

// PutTestResults writes results down, which replace those of the same key, with their
// names.
func (s *Store) PutTestResults(ctx context.Context, r TestResults, names []byte, now time.Time) error {
	return s.commit(ctx, func(t *tx) error {
		if _, err := t.exec(`INSERT INTO test_names (name, size, body) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING`, r.Names, len(names), names); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO test_results (key, names, ended, used, size, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET names = excluded.names, ended = excluded.ended, used = excluded.used, size = excluded.size, body = excluded.body`,
			plainText(r.Key), r.Names, millis(r.Ended), millis(now), len(r.Body), r.Body)
		return err
	})
}

// TestResults reads results by their keys. Those that are not there are left out.
func (s *Store) TestResults(ctx context.Context, keys []string) (map[string]TestResults, error) {
	out := make(map[string]TestResults, len(keys))
	err := inParts(keys, func(_ []string, marks string, args []any) error {
		rows, err := s.query(ctx, `SELECT key, names, ended, body FROM test_results WHERE key IN (`+marks+`)`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r TestResults
			var ended int64
			if err := rows.Scan(&r.Key, &r.Names, &ended, &r.Body); err != nil {
				return err
			}
			r.Ended = time.UnixMilli(ended)
			out[r.Key] = r
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read results of tests: %w", err)
	}
	return out, nil
}

// TestNames reads names of tests by what they are called. Those that are not there are
// left out.
func (s *Store) TestNames(ctx context.Context, names []string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(names))
	err := inParts(names, func(_ []string, marks string, args []any) error {
		return s.pairs(ctx, out, `SELECT name, body FROM test_names WHERE name IN (`+marks+`)`, args)
	})
	if err != nil {
		return nil, fmt.Errorf("read names of tests: %w", err)
	}
	return out, nil
}

// usedEvery is how exactly it is known when results were last of use.
const usedEvery = time.Hour

// KeepTestResults notes that results are of use.
func (s *Store) KeepTestResults(ctx context.Context, keys []string, now time.Time) error {
	return s.commit(ctx, func(t *tx) error {
		return inParts(keys, func(_ []string, marks string, args []any) error {
			_, err := t.exec(`UPDATE test_results SET used = ? WHERE used < ? AND key IN (`+marks+`)`, append([]any{millis(now), millis(now.Add(-usedEvery))}, args...)...)
			return err
		})
	})
}

// PruneTestResults forgets the results of builds that ended before a time, and the least
// recently used ones beyond a number of bytes, and returns how many those were. A zero
// time keeps all ages.
func (s *Store) PruneTestResults(ctx context.Context, before time.Time, mostBytes int64) (pruned int64, err error) {
	if !before.IsZero() {
		if pruned, err = s.inSteps(ctx, `DELETE FROM test_results WHERE key IN (SELECT key FROM test_results WHERE ended < ? ORDER BY ended LIMIT ?)`, millis(before)); err != nil {
			return pruned, err
		}
	}
	// Names go after the last results that have them. Should somebody write such results
	// at this very moment, they are found to lack their names, and are read anew.
	orphans := func() error {
		_, err := s.inSteps(ctx, `DELETE FROM test_names WHERE name IN (SELECT name FROM test_names WHERE NOT EXISTS (SELECT 1 FROM test_results WHERE names = test_names.name) LIMIT ?)`)
		return err
	}
	if err := orphans(); err != nil {
		return pruned, err
	}
	cut, err := s.leastUsed(ctx, mostBytes)
	if err != nil || cut == 0 {
		return pruned, err
	}
	more, err := s.inSteps(ctx, `DELETE FROM test_results WHERE key IN (SELECT key FROM test_results WHERE used <= ? ORDER BY used LIMIT ?)`, cut)
	if err == nil {
		err = orphans()
	}
	return pruned + more, err
}

// leastUsed is the time of use up to which results, and names that only they have, go
// beyond a number of bytes; 0 if all have room.
func (s *Store) leastUsed(ctx context.Context, most int64) (cut int64, err error) {
	// The names count for the most recent use of them.
	rows, err := s.query(ctx, `SELECT used, size FROM test_results
		UNION ALL SELECT MAX(r.used), n.size FROM test_names n JOIN test_results r ON r.names = n.name GROUP BY n.name, n.size
		ORDER BY 1 DESC`)
	if err != nil {
		return 0, fmt.Errorf("count results of tests: %w", err)
	}
	defer rows.Close()
	for sum := int64(0); rows.Next(); {
		var used, size int64
		if err := rows.Scan(&used, &size); err != nil {
			return 0, fmt.Errorf("count results of tests: %w", err)
		}
		if sum += size; sum > most {
			return used, nil
		}
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("count results of tests: %w", err)
	}
	return 0, nil
}
