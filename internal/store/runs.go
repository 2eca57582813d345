package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Run is a run of a job that has ended.
type Run struct {
	// Name is that of the ProwJob, and names the run.
	Name       string
	Job, Build string
	Type       string
	State      string
	// Cluster is the alias of the build cluster.
	Cluster string
	Tenant  string
	// Hidden is what the job said of itself; which repositories are hidden is for the
	// reader to know.
	Hidden bool
	// Origin is empty for a run that the cluster told of, else how it was found.
	Origin string
	// Repos are the repositories it is about: that of its refs first, if HasRefs, then the
	// extra ones.
	Repos   []Repo
	HasRefs bool
	Pulls   []Pull
	// Started and Completed are kept to the second.
	Started, Completed time.Time
	// Place is the directory of its files; empty without one.
	Place string
	// Version tells contents apart.
	Version uint64
	// Body is the rest, in a form that only the writer knows. Only RunBodies reads it.
	Body []byte
	// Written is when the row was written.
	Written time.Time
}

// Repo is a repository. A name has no control characters.
type Repo struct{ Org, Repo string }

// Pull is a pull request that was tested.
type Pull struct {
	Number int
	Author string
}

const runColumns = `name, job, build, type, state, cluster, tenant, hidden, origin, repos, refs, pulls, started, completed, place, version, written`

// PutRuns writes runs down, all or none. Rows of the same name are replaced, unless they
// have the same version: several processes may write what each of them has seen.
func (s *Store) PutRuns(ctx context.Context, runs []Run, now time.Time) error {
	return s.writeRuns(ctx, runs, now, `UPDATE SET job = excluded.job, build = excluded.build, type = excluded.type, state = excluded.state, cluster = excluded.cluster,
		tenant = excluded.tenant, hidden = excluded.hidden, origin = excluded.origin, repos = excluded.repos, refs = excluded.refs, pulls = excluded.pulls,
		started = excluded.started, completed = excluded.completed, place = excluded.place, version = excluded.version, written = excluded.written
		WHERE runs.version <> excluded.version`)
}

// AddRuns writes runs down whose names are new.
func (s *Store) AddRuns(ctx context.Context, runs []Run, now time.Time) error {
	return s.writeRuns(ctx, runs, now, `NOTHING`)
}

func (s *Store) writeRuns(ctx context.Context, runs []Run, now time.Time, known string) error {
	return s.commit(ctx, func(t *tx) error {
		for i := range runs {
			r := &runs[i]
			n, err := t.exec(`INSERT INTO runs (`+runColumns+`) VALUES (?`+strings.Repeat(`, ?`, 16)+`) ON CONFLICT (name) DO `+known,
				plainText(r.Name), plainText(r.Job), plainText(r.Build), plainText(r.Type), plainText(r.State), plainText(r.Cluster), plainText(r.Tenant), number(r.Hidden), r.Origin,
				joinRepos(r.Repos), number(r.HasRefs), joinPulls(r.Pulls), r.Started.Unix(), r.Completed.Unix(), plainText(r.Place), int64(r.Version), millis(now))
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			if _, err := t.exec(`INSERT INTO run_bodies (name, body) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body`, plainText(r.Name), r.Body); err != nil {
				return err
			}
		}
		return nil
	})
}

// EachRun calls do for the newest runs, at most limit, newest first, without their bodies.
// What is written meanwhile may be told or not.
func (s *Store) EachRun(ctx context.Context, limit int, do func(Run) error) error {
	return s.eachRun(ctx, do, `SELECT `+runColumns+` FROM runs ORDER BY started DESC, name DESC LIMIT ?`, limit)
}

// EachRunSince calls do for the runs that were written at or after a time, oldest write first.
func (s *Store) EachRunSince(ctx context.Context, since time.Time, do func(Run) error) error {
	return s.eachRun(ctx, do, `SELECT `+runColumns+` FROM runs WHERE written >= ? ORDER BY written`, millis(since))
}

func (s *Store) eachRun(ctx context.Context, do func(Run) error, query string, args ...any) error {
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read runs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return fmt.Errorf("read runs: %w", err)
		}
		if err := do(r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read runs: %w", err)
	}
	return nil
}

func scanRun(rows *sql.Rows) (r Run, err error) {
	var hidden, refs, started, completed, version, written int64
	var repos, pulls string
	err = rows.Scan(&r.Name, &r.Job, &r.Build, &r.Type, &r.State, &r.Cluster, &r.Tenant, &hidden, &r.Origin, &repos, &refs, &pulls, &started, &completed, &r.Place, &version, &written)
	if err != nil {
		return r, err
	}
	r.Hidden, r.HasRefs, r.Version = hidden == 1, refs == 1, uint64(version)
	r.Started, r.Completed, r.Written = time.Unix(started, 0), time.Unix(completed, 0), time.UnixMilli(written)
	r.Repos = splitRepos(repos)
	r.Pulls, err = splitPulls(pulls)
	return r, err
}

// RunBodies reads the bodies of runs, by name. Those that are not there are left out.
func (s *Store) RunBodies(ctx context.Context, names []string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(names))
	err := inParts(names, func(_ []string, marks string, args []any) error {
		return s.pairs(ctx, out, `SELECT name, body FROM run_bodies WHERE name IN (`+marks+`)`, args)
	})
	if err != nil {
		return nil, fmt.Errorf("read the bodies of runs: %w", err)
	}
	return out, nil
}

// RunPlaces lists the places of runs that are below a directory, which ends with a slash,
// with the names of the runs.
func (s *Store) RunPlaces(ctx context.Context, directory string) (map[string]string, error) {
	out := map[string]string{}
	// "0" comes right after "/".
	rows, err := s.query(ctx, `SELECT place, name FROM runs WHERE place >= ? AND place < ?`, directory, strings.TrimSuffix(directory, "/")+"0")
	if err != nil {
		return nil, fmt.Errorf("read the places of runs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var place, name string
		if err := rows.Scan(&place, &name); err != nil {
			return nil, fmt.Errorf("read the places of runs: %w", err)
		}
		out[place] = name
	}
	return out, rows.Err()
}

// PruneRuns forgets runs that began before a time, and all but the newest ones, and
// returns how many those were. A zero time or number keeps all.
func (s *Store) PruneRuns(ctx context.Context, before time.Time, newest int) (pruned int64, err error) {
	if newest > 0 {
		var started int64
		rows, err := s.query(ctx, `SELECT started FROM runs ORDER BY started DESC, name DESC LIMIT 1 OFFSET ?`, newest)
		if err != nil {
			return 0, fmt.Errorf("count runs: %w", err)
		}
		if rows.Next() {
			err = rows.Scan(&started)
			// Those of the same second go or stay together.
			if cut := time.Unix(started+1, 0); err == nil && cut.After(before) {
				before = cut
			}
		}
		if err := firstError(err, rows.Err(), rows.Close()); err != nil {
			return 0, fmt.Errorf("count runs: %w", err)
		}
	}
	if before.IsZero() {
		return 0, nil
	}
	return s.inSteps(ctx, `DELETE FROM runs WHERE name IN (SELECT name FROM runs WHERE started < ? ORDER BY started LIMIT ?)`, before.Unix())
}

// inSteps runs a statement that changes as many rows as its last argument says, until
// there are none left, so that others who write need not wait for long.
func (s *Store) inSteps(ctx context.Context, statement string, args ...any) (changed int64, err error) {
	for {
		var n int64
		err := s.commit(ctx, func(t *tx) (err error) {
			n, err = t.exec(statement, append(args[:len(args):len(args)], prunePart)...)
			return err
		})
		changed += n
		if err != nil || n < prunePart {
			return changed, err
		}
	}
}

// inParts calls do with at most 500 names at a time, and what a statement needs for them.
func inParts(names []string, do func(part []string, marks string, args []any) error) error {
	for len(names) > 0 {
		part := names[:min(len(names), 500)]
		names = names[len(part):]
		args := make([]any, len(part))
		for i, name := range part {
			args[i] = name
		}
		if err := do(part, `?`+strings.Repeat(`, ?`, len(part)-1), args); err != nil {
			return err
		}
	}
	return nil
}

// pairs reads rows of a name and bytes.
func (s *Store) pairs(ctx context.Context, into map[string][]byte, query string, args []any) error {
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var value []byte
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		into[name] = value
	}
	return rows.Err()
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
