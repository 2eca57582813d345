package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"k8s.io/utils/clock"
)

// Options say where a forge keeps its state, how it shows itself, and, for
// [Run], what surrounds it.
type Options struct {
	// Dir holds all state and belongs to one process at a time. It is created.
	Dir string
	// BaseURL is the address clients use, without a trailing slash. All links in answers begin with it.
	BaseURL string
	// Hosts are further host names under which requests are accepted, besides
	// that of BaseURL and the loopback names.
	Hosts []string
	// AnonymousRead lets requests without a token read public repositories.
	AnonymousRead bool
	// SignIn lets visitors of the pages act as any account. Only for the loopback interface.
	SignIn bool
	// RateLimit is the number of REST requests an identity has per hour; 0 means
	// that the limit is shown but never reached.
	RateLimit int
	// Limits are the other limits; its Core is overruled by RateLimit.
	Limits Limits
	// AdminToken opens the paths below /_admin/, by which tests make the forge
	// misbehave and seed it; without one they do not exist.
	AdminToken string
	// Clock is the source of time; nil means the real one.
	Clock clock.Clock
	// Logger may be nil.
	Logger *slog.Logger
	// Client sends webhooks; nil means one with the time-out GitHub uses.
	Client *http.Client

	// The rest is for Run; Open does not look at it.

	// Listen is the address to serve on.
	Listen string
	// HookURL, when set, receives all events of all seeded organisations.
	HookURL string
	// HMACSecretFile holds the secret that signs them.
	HMACSecretFile string
	// SeedFile is a YAML file of the form [Seed], applied at every start.
	SeedFile string
	// AdminTokenFile holds AdminToken.
	AdminTokenFile string
	// TLSCertFile and TLSKeyFile make the forge serve HTTPS. Both are written,
	// with a self-signed certificate, when they do not exist.
	TLSCertFile, TLSKeyFile string
	// UnixSocket is the path of a socket to serve plain HTTP on as well.
	UnixSocket string
}

// Forge is an open forge. Its methods may be used concurrently.
type Forge struct {
	opts   Options
	base   string
	log    *slog.Logger
	clock  clock.Clock
	git    *gitRunner
	rdb    *statements
	wdb    *sql.DB
	lock   *os.File
	client *http.Client
	hosts  map[string]bool
	rates  *rateTable
	faults *faults
	past   *past
	serve  http.Handler
	ql     *graph

	writing    sync.Mutex
	background sync.WaitGroup // work that outlives its request
	closing    context.Context
	close      context.CancelFunc
	kick       chan struct{}
	transfers  chan struct{} // bounds git processes that serve clients

	mu    sync.Mutex
	locks map[int64]*sync.Mutex
}

// readers is how many requests read the database at the same time.
const readers = 8

// ErrLocked says that another process uses the state directory.
var ErrLocked = errors.New("state directory is in use by another process")

// Open opens the forge in s.Dir, creating it when it is not there, and
// finishes what a killed predecessor left half done.
func Open(ctx context.Context, s Options) (*Forge, error) {
	u, err := url.Parse(s.BaseURL)
	if err != nil || u.Scheme == "" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("base URL %q: want http(s)://host[:port]", s.BaseURL)
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f := &Forge{
		opts: s, base: strings.TrimRight(s.BaseURL, "/"), log: s.Logger, clock: s.Clock, client: s.Client,
		hosts: map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, lower(u.Hostname()): true},
		kick:  make(chan struct{}, 1), transfers: make(chan struct{}, maxTransfers), locks: map[int64]*sync.Mutex{},
	}
	f.opts.Dir = dir
	f.closing, f.close = context.WithCancel(context.WithoutCancel(ctx))
	for _, h := range s.Hosts {
		f.hosts[lower(h)] = true
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.clock == nil {
		f.clock = clock.RealClock{}
	}
	if f.client == nil {
		f.client = hookClient()
	}
	if s.RateLimit > 0 {
		s.Limits.Core = s.RateLimit
	}
	f.rates = newRateTable(f.clock, s.Limits)
	f.faults = &faults{clock: f.clock}
	f.past = &past{f: f}
	if err := f.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening forge in %s: %w", dir, err), f.Close())
	}
	return f, nil
}

func (f *Forge) open(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(f.opts.Dir, "repos"), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(f.opts.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	f.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if f.git, err = newGitRunner(f.opts.Dir); err != nil {
		return err
	}
	if err := f.writeHooks(); err != nil {
		return fmt.Errorf("writing hooks: %w", err)
	}
	if f.wdb, err = openDB(f.opts.Dir, 1); err != nil {
		return err
	}
	if err := migrate(ctx, f.wdb); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(f.opts.Dir, "forge.db"), 0o600); err != nil {
		return err
	}
	rdb, err := openDB(f.opts.Dir, readers)
	if err != nil {
		return err
	}
	f.rdb = newStatements(rdb)
	if f.ql, err = newGraph(); err != nil {
		return err
	}
	pages, err := f.newPages()
	if err != nil {
		return err
	}
	f.serve = f.router(pages)
	return f.recover(ctx)
}

// recover brings the database up to date with every repository.
func (f *Forge) recover(ctx context.Context) error {
	ids, err := list(f.read(ctx), scalar[int64], "SELECT id FROM repos ORDER BY id")
	if err != nil {
		return err
	}
	if err := f.removeOrphans(ids); err != nil {
		return fmt.Errorf("removing directories of deleted repositories: %w", err)
	}
	for _, id := range ids {
		if err := f.initBare(ctx, id); err != nil {
			return err
		}
		if err := f.syncRefs(ctx, id, nil); err != nil {
			return err
		}
	}
	return f.finishForks(ctx)
}

// Close releases the state directory. Requests in flight must have ended.
func (f *Forge) Close() error {
	var errs []error
	f.close()
	f.background.Wait()
	errs = append(errs, f.past.close())
	if f.rdb != nil {
		errs = append(errs, f.rdb.Close())
	}
	if f.wdb != nil {
		errs = append(errs, f.wdb.Close())
	}
	if f.lock != nil {
		// Closing alone is not enough: a child between fork and exec shares the lock.
		errs = append(errs, syscall.Flock(int(f.lock.Fd()), syscall.LOCK_UN), f.lock.Close())
	}
	return errors.Join(errs...)
}

// Handler serves the forge: git, REST, GraphQL and pages.
func (f *Forge) Handler() http.Handler { return f.serve }

// BaseURL is the address in all links.
func (f *Forge) BaseURL() string { return f.base }

// APIURL is the base of the REST API, GraphQLURL the endpoint of GraphQL.
func (f *Forge) APIURL() string     { return f.base + "/api/v3" }
func (f *Forge) GraphQLURL() string { return f.base + "/api/graphql" }

// wake tells Run that there is something to deliver.
func (f *Forge) wake() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// lockRepo serialises changes of one repository's refs.
func (f *Forge) lockRepo(id int64) (unlock func()) {
	f.mu.Lock()
	m := f.locks[id]
	if m == nil {
		m = &sync.Mutex{}
		f.locks[id] = m
	}
	f.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// repoDir is named by id, so that no name of a repository reaches the file
// system and renaming moves nothing.
func (f *Forge) repoDir(id int64) string {
	return filepath.Join(f.opts.Dir, "repos", strconv.FormatInt(id, 10)+".git")
}

func (f *Forge) bare(id int64) bare { return bare{f.git, f.repoDir(id)} }

// initBare makes sure that the bare repository exists and that HEAD names the
// default branch.
func (f *Forge) initBare(ctx context.Context, id int64) error {
	rp, err := f.read(ctx).repoID(id)
	if err != nil {
		return err
	}
	dir := f.repoDir(id)
	if _, err := f.git.run(ctx, f.opts.Dir, input{}, "init", "--quiet", "--bare", "--template=", dir); err != nil {
		return fmt.Errorf("creating repository %s: %w", rp.fullName(), err)
	}
	if _, err := f.bare(id).run(ctx, "symbolic-ref", "HEAD", "refs/heads/"+rp.DefaultBranch); err != nil {
		return fmt.Errorf("setting default branch of %s: %w", rp.fullName(), err)
	}
	return nil
}
