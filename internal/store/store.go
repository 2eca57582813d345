package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// ErrNewer is returned for a file that a newer version of the program has written.
var ErrNewer = errors.New("written by a newer version of the program")

// Store is safe for concurrent use.
type Store struct {
	db *sql.DB

	writes  chan *write
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once
}

// Open opens or makes the SQLite file at path and brings its schema up to date.
// The directory must exist.
func Open(ctx context.Context, path string) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	// A file for its owner only: payloads of private repositories are in it.
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=journal_size_limit(67108864)&_txlock=immediate"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	db.SetMaxOpenConns(4)
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", path, err), db.Close())
	}
	s := &Store{db: db, writes: make(chan *write, maxGroup), closing: make(chan struct{}), stopped: make(chan struct{})}
	go s.commitGroups()
	return s, nil
}

// Close commits what was accepted and closes the file.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.stopped
	return s.db.Close()
}

// migrations bring the schema from each version to the next; they are never
// edited once released, only added to.
var migrations = []string{
	`CREATE TABLE deliveries (
		id       TEXT PRIMARY KEY,  -- X-GitHub-Delivery
		event    TEXT NOT NULL,     -- X-GitHub-Event
		received INTEGER NOT NULL,  -- Unix milliseconds
		payload  BLOB NOT NULL,
		attempts INTEGER NOT NULL DEFAULT 0,
		state    TEXT NOT NULL      -- new, done, dead
	);
	CREATE INDEX deliveries_by_state ON deliveries (state, received);
	CREATE TABLE outcomes (
		delivery TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
		handler  TEXT NOT NULL,     -- plugin/kind of handler
		finished INTEGER NOT NULL,  -- Unix milliseconds
		error    TEXT NOT NULL,     -- empty: it went well
		PRIMARY KEY (delivery, handler)
	);`,
}

func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("schema version %d, this program knows %d: %w", version, len(migrations), ErrNewer)
	}
	for i := version; i < len(migrations); i++ {
		if _, err := tx.ExecContext(ctx, migrations[i]); err != nil {
			return fmt.Errorf("migrate to version %d: %w", i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(migrations))); err != nil {
		return fmt.Errorf("write the version: %w", err)
	}
	return tx.Commit()
}

// maxGroup is how many writes share one commit at most.
const maxGroup = 256

// write is a change that waits for its group's commit.
type write struct {
	do   func(*sql.Tx) error
	done chan error
}

// ErrClosed is returned for writes to a closed store.
var ErrClosed = errors.New("the store is closed")

// commit runs do in a transaction that it may share with others, and returns
// once that is on disk. do must not fail for reasons of its own arguments: an
// error fails the whole group.
func (s *Store) commit(ctx context.Context, do func(*sql.Tx) error) error {
	w := &write{do: do, done: make(chan error, 1)}
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	select {
	case s.writes <- w:
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// Once handed over, the write happens; waiting for it keeps the answer true.
	select {
	case err := <-w.done:
		return err
	case <-s.stopped:
	}
	select {
	case err := <-w.done:
		return err
	default:
		return ErrClosed
	}
}

func (s *Store) commitGroups() {
	defer close(s.stopped)
	for {
		select {
		case first := <-s.writes:
			s.commitGroup(first)
		case <-s.closing:
			for {
				select {
				case first := <-s.writes:
					s.commitGroup(first)
				default:
					return
				}
			}
		}
	}
}

// commitGroup commits a write and those that wait behind it.
func (s *Store) commitGroup(first *write) {
	group := append(make([]*write, 0, maxGroup), first)
	for more := true; more && len(group) < maxGroup; {
		select {
		case w := <-s.writes:
			group = append(group, w)
		default:
			more = false
		}
	}
	err := s.inTx(group)
	for _, w := range group {
		w.done <- err
	}
}

func (s *Store) inTx(group []*write) error {
	tx, err := s.db.Begin()
	if err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	for _, w := range group {
		if err := w.do(tx); err != nil {
			return errors.Join(fmt.Errorf("write to the store: %w", err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	return nil
}

func millis(t time.Time) int64 { return t.UnixMilli() }
