package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// dialect is what differs between the databases. Statements are written for
// SQLite, with ? for arguments.
type dialect struct {
	// types replaces names of types in the schema.
	types *strings.Replacer
	// numbered tells that arguments are $1, $2, ... instead of ?.
	numbered bool
	// lock keeps others from migrating at the same time, for the transaction.
	lock string
}

var (
	sqlite   = &dialect{types: strings.NewReplacer()}
	postgres = &dialect{types: strings.NewReplacer("INTEGER", "BIGINT", "BLOB", "BYTEA"), numbered: true, lock: "SELECT pg_advisory_xact_lock(7769)"}
)

// bind rewrites the arguments of a statement, which holds no ? in a text.
func (d *dialect) bind(statement string) string {
	if !d.numbered {
		return statement
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(statement, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		statement = after
	}
}

// IsPostgres tells whether a data source name is that of a PostgreSQL database;
// any other is the path of an SQLite file.
func IsPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// connect opens the database of a data source name.
func connect(ctx context.Context, dsn string) (*sql.DB, *dialect, error) {
	if !IsPostgres(dsn) {
		db, err := openFile(dsn)
		return db, sqlite, err
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, nil, errors.New("the name of the PostgreSQL database is malformed") // the error would show its password
	}
	db.SetMaxOpenConns(8)
	if err := db.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, postgres, nil
}

func openFile(path string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// A file for its owner only: payloads of private repositories are in it.
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=journal_size_limit(67108864)&_txlock=immediate"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	return db, nil
}

// redact is a data source name without its password.
func redact(dsn string) string {
	if !IsPostgres(dsn) {
		return dsn
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "postgres://..."
	}
	u.RawQuery = ""
	return u.Redacted()
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
	`ALTER TABLE deliveries ADD COLUMN repo TEXT NOT NULL DEFAULT '';         -- org/repo, or org
	ALTER TABLE deliveries ADD COLUMN action TEXT NOT NULL DEFAULT '';
	ALTER TABLE deliveries ADD COLUMN signature TEXT NOT NULL DEFAULT '';     -- X-Hub-Signature-256
	ALTER TABLE deliveries ADD COLUMN owner TEXT NOT NULL DEFAULT '';         -- process that handles it
	ALTER TABLE deliveries ADD COLUMN owned_until INTEGER NOT NULL DEFAULT 0; -- Unix milliseconds
	ALTER TABLE outcomes ADD COLUMN took INTEGER NOT NULL DEFAULT 0;          -- milliseconds
	CREATE INDEX deliveries_by_time ON deliveries (received, id);
	CREATE INDEX outcomes_failed ON outcomes (delivery) WHERE error <> '';`,
	`CREATE TABLE runs (
		name      TEXT PRIMARY KEY,  -- of the ProwJob
		job       TEXT NOT NULL,
		build     TEXT NOT NULL,
		type      TEXT NOT NULL,
		state     TEXT NOT NULL,
		cluster   TEXT NOT NULL,     -- alias
		tenant    TEXT NOT NULL,
		hidden    INTEGER NOT NULL,  -- 1: as the job itself says
		origin    TEXT NOT NULL,     -- empty: the cluster; else how it was found in storage
		repos     TEXT NOT NULL,     -- org, tab, repo; a line each, that of refs first
		refs      INTEGER NOT NULL,  -- 1: the first of repos is of refs, not an extra one
		pulls     TEXT NOT NULL,     -- number, tab, author; a line each
		started   INTEGER NOT NULL,  -- Unix seconds
		completed INTEGER NOT NULL,  -- Unix seconds
		place     TEXT NOT NULL,     -- provider/bucket/directory; empty without files
		version   INTEGER NOT NULL,  -- tells contents apart
		written   INTEGER NOT NULL   -- Unix milliseconds, of this row
	);
	CREATE INDEX runs_by_time ON runs (started, name);
	CREATE INDEX runs_by_place ON runs (place);
	CREATE INDEX runs_written ON runs (written);
	CREATE TABLE run_bodies (        -- apart, so that a look at all runs does not read them
		name TEXT PRIMARY KEY REFERENCES runs (name) ON DELETE CASCADE,
		body BLOB NOT NULL
	);
	CREATE TABLE remembered (        -- what was read in storage
		key   TEXT PRIMARY KEY,
		used  INTEGER NOT NULL,      -- Unix milliseconds
		value BLOB NOT NULL
	);
	CREATE INDEX remembered_used ON remembered (used);`,
	`CREATE TABLE test_results (
		key   TEXT PRIMARY KEY,      -- how it was read, and the place of the build
		names TEXT NOT NULL,         -- in test_names
		ended INTEGER NOT NULL,      -- Unix milliseconds, of the build
		used  INTEGER NOT NULL,      -- Unix milliseconds
		size  INTEGER NOT NULL,      -- of the body, in bytes
		body  BLOB NOT NULL
	);
	CREATE INDEX test_results_ended ON test_results (ended);
	CREATE INDEX test_results_used ON test_results (used, size);
	CREATE INDEX test_results_names ON test_results (names, used);
	CREATE TABLE test_names (        -- apart, for most builds of a job have them in common
		name TEXT PRIMARY KEY,       -- hash of the body
		size INTEGER NOT NULL,       -- of the body, in bytes
		body BLOB NOT NULL
	);`,
}

// migrate brings the schema up to date.
func migrate(ctx context.Context, db *sql.DB, d *dialect) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if d.lock != "" {
		if _, err := tx.ExecContext(ctx, d.lock); err != nil {
			return fmt.Errorf("lock the schema: %w", err)
		}
	}
	version, err := d.version(ctx, tx)
	if err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("schema version %d, this program knows %d: %w", version, len(migrations), ErrNewer)
	}
	if version == len(migrations) {
		return nil
	}
	for i := version; i < len(migrations); i++ {
		if _, err := tx.ExecContext(ctx, d.types.Replace(migrations[i])); err != nil {
			return fmt.Errorf("migrate to version %d: %w", i+1, err)
		}
	}
	if err := d.setVersion(ctx, tx, len(migrations)); err != nil {
		return fmt.Errorf("write the version: %w", err)
	}
	return tx.Commit()
}

func (d *dialect) version(ctx context.Context, tx *sql.Tx) (version int, err error) {
	if d == sqlite {
		return version, tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	}
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)"); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM schema_version").Scan(&version)
	return version, err
}

func (d *dialect) setVersion(ctx context.Context, tx *sql.Tx, version int) error {
	if d == sqlite {
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM schema_version"); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO schema_version (version) VALUES ($1)", version)
	return err
}
