package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNewer is returned for a file that a newer version of the program has written.
var ErrNewer = errors.New("written by a newer version of the program")

// Store is safe for concurrent use.
type Store struct {
	db      *sql.DB
	dialect *dialect

	writes  chan *write
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once
}

// Open opens or makes the SQLite file at the path dsn, whose directory must exist,
// or opens the PostgreSQL database with the URL dsn, and brings its schema up to
// date.
func Open(ctx context.Context, dsn string) (*Store, error) {
	db, dialect, err := connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", redact(dsn), err)
	}
	if err := migrate(ctx, db, dialect); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", redact(dsn), err), db.Close())
	}
	s := &Store{db: db, dialect: dialect, writes: make(chan *write, maxGroup), closing: make(chan struct{}), stopped: make(chan struct{})}
	go s.commitGroups()
	return s, nil
}

// Shared tells whether other processes may use the store at the same time.
func (s *Store) Shared() bool { return s.dialect != sqlite }

// Close commits what was accepted and closes the file.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.stopped
	return s.db.Close()
}

// maxGroup is how many writes share one commit at most.
const maxGroup = 256

// write is a change that waits for its group's commit.
type write struct {
	do   func(*tx) error
	done chan error
}

// ErrClosed is returned for writes to a closed store.
var ErrClosed = errors.New("the store is closed")

// commit runs do in a transaction that it may share with others, and returns
// once that is on disk. do must not fail for reasons of its own arguments: an
// error fails the whole group.
func (s *Store) commit(ctx context.Context, do func(*tx) error) error {
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
	begun, err := s.db.Begin()
	if err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	t := &tx{Tx: begun, dialect: s.dialect, prepared: map[string]*sql.Stmt{}}
	for _, w := range group {
		if err := w.do(t); err != nil {
			return errors.Join(fmt.Errorf("write to the store: %w", err), begun.Rollback())
		}
	}
	if err := begun.Commit(); err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	return nil
}

// tx is a transaction in which each statement is prepared once.
type tx struct {
	*sql.Tx
	dialect  *dialect
	prepared map[string]*sql.Stmt
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(statement string, args ...any) (changed int64, err error) {
	stmt := t.prepared[statement]
	if stmt == nil {
		if stmt, err = t.Prepare(t.dialect.bind(statement)); err != nil {
			return 0, err
		}
		t.prepared[statement] = stmt
	}
	res, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s *Store) query(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	return s.db.QueryContext(ctx, s.dialect.bind(statement), args...)
}

func millis(t time.Time) int64 { return t.UnixMilli() }
