package local

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// errNotFound says that a row does not exist or may not be seen.
var errNotFound = errors.New("not found")

// when is a moment with millisecond precision; zero is "never", stored as 0
// and written as null in JSON. GitHub shows whole seconds.
type when struct{ time.Time }

func (w *when) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("time column holds %T", src)
	}
	w.Time = time.Time{}
	if n != 0 {
		w.Time = time.UnixMilli(n).UTC()
	}
	return nil
}

func (w when) Value() (driver.Value, error) {
	if w.IsZero() {
		return int64(0), nil
	}
	return w.UnixMilli(), nil
}

func (w when) String() string { return w.UTC().Format("2006-01-02T15:04:05Z") }

func (w when) MarshalJSON() ([]byte, error) {
	if w.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + w.String() + `"`), nil
}

func (w *when) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" || string(raw) == `""` {
		w.Time = time.Time{}
		return nil
	}
	return w.Time.UnmarshalJSON(raw)
}

// openDB opens the database file. Writes survive a killed process and a power
// cut (synchronous=FULL): a delivery answered with 2xx must have its effect.
func openDB(dir string, readers int) (*sql.DB, error) {
	q := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"}}
	if readers == 1 {
		q.Set("_txlock", "immediate")
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "forge.db")+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	return db, nil
}

// queryer is what both a pool and a transaction offer.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// reader answers questions about the forge's state. It lives for one request
// or transaction and therefore carries its context.
type reader struct {
	ctx context.Context
	f   *Forge
	db  queryer
}

// read returns a reader on the committed state, or on the older one that a
// fault wants this request to see.
func (f *Forge) read(ctx context.Context) *reader {
	if s, ok := ctx.Value(stateKey{}).(*state); ok {
		return &reader{ctx, f, s.tx}
	}
	return &reader{ctx, f, f.rdb}
}

// txn is a write transaction. Webhooks emitted through it are stored with the
// change that caused them and sent after the commit.
type txn struct {
	reader
	tx      *sql.Tx
	now     when
	emitted bool
}

// write runs fn in a transaction. There is one writer at a time; fn must not
// wait for anything else (no git, no network).
func (f *Forge) write(ctx context.Context, fn func(*txn) error) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	tx, err := f.wdb.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("starting transaction: %w", err)
	}
	t := &txn{reader: reader{ctx, f, tx}, tx: tx, now: when{f.clock.Now().UTC()}}
	if err := fn(t); err != nil {
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	f.past.committed(ctx)
	if t.emitted {
		f.wake()
	}
	return nil
}

// exec runs a statement and returns the id of the inserted row.
func (t *txn) exec(query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("database: %w", err)
	}
	return res.LastInsertId()
}

// changed runs a statement and returns how many rows it touched.
func (t *txn) changed(query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("database: %w", err)
	}
	return res.RowsAffected()
}

// scanner is a row being read.
type scanner interface{ Scan(dest ...any) error }

// list reads all rows of a query.
func list[T any](r *reader, scan func(scanner, *T) error, query string, args ...any) ([]T, error) {
	rows, err := r.db.QueryContext(r.ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return out, nil
}

// one reads the first row of a query or fails with errNotFound.
func one[T any](r *reader, scan func(scanner, *T) error, query string, args ...any) (*T, error) {
	all, err := list(r, scan, query, args...)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errNotFound
	}
	return &all[0], nil
}

// scalar scans rows of one column.
func scalar[T any](s scanner, v *T) error { return s.Scan(v) }

// count reads one number.
func (r *reader) count(query string, args ...any) (int, error) {
	n, err := one(r, scalar[int], query, args...)
	if errors.Is(err, errNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return *n, nil
}
