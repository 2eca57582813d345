package deck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"prow/internal/config"
	"prow/internal/storage"
	"prow/internal/storage/providers"
	"prow/internal/store"
)

// importOptions are those of the import.
type importOptions struct {
	config      config.Options
	credentials providers.Credentials
	store, job  string
	parallel    int
	keepFor     time.Duration
	keep        int
}

// importCommand rebuilds the store.
func importCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import-runs LOCATION...",
		Short: "Write runs that are in storage into the store of deck",
		Long: `Walks buckets and writes the runs that have ended there into a store, from prowjob.json, started.json and finished.json.
A store that was lost is rebuilt so, and runs from before deck had one are added. What the store has already is not read
again, so it can be stopped and started again; deck may run meanwhile, and shows new runs within a minute.

A LOCATION is gs://bucket, s3://bucket or file:///directory, also with a path prefix. The configuration must allow deck to
show it.

  prow deck import-runs --config-path=config.yaml --store=deck.db gs://prow-logs
  prow deck import-runs --config-path=config.yaml --store=postgres://prow@db/deck --job=nightly gs://prow-logs`,
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return importRuns(ctx, cmd.OutOrStdout(), &o, args)
		},
	}
	o.config = config.DefaultOptions()
	fs := cmd.Flags()
	o.config.Bind(fs)
	o.credentials.Bind(fs)
	fs.StringVar(&o.store, "store", "deck.db", "Where runs are kept: an SQLite file, or a PostgreSQL database (postgres://...).")
	fs.StringVar(&o.job, "job", "", "Import runs of this job only.")
	fs.IntVar(&o.parallel, "parallel", 16, "How many runs are read at the same time.")
	fs.DurationVar(&o.keepFor, "keep-runs-for", 90*24*time.Hour, "How old runs may be; as for deck.")
	fs.IntVar(&o.keep, "keep-runs", defaultKeepRuns, "How many runs are kept in the end, the newest; as for deck.")
	return cmd
}

// importer writes runs of storage into a store.
type importer struct {
	cfg   *config.Config
	store *store.Store
	out   io.Writer
	job   string
	// parallel is how many runs are read at the same time.
	parallel int
	// after is when the oldest runs that are wanted began.
	after time.Time
	now   func() time.Time
	// known are runs that are in the store.
	known map[runKey]bool

	mu   sync.Mutex
	rows []store.Run
	sum  importCount
}

// importCount tells what became of runs.
type importCount struct{ imported, known, unfinished, broken int }

func (c importCount) String() string {
	return fmt.Sprintf("%d imported, %d known before, %d without result, %d broken", c.imported, c.known, c.unfinished, c.broken)
}

func importRuns(ctx context.Context, out io.Writer, o *importOptions, locations []string) error {
	if o.parallel < 1 || o.parallel > 256 {
		return fmt.Errorf("--parallel=%d: expected 1 to 256", o.parallel)
	}
	if err := o.config.Validate(); err != nil {
		return err
	}
	cfg, err := config.Load(ctx, o.config)
	if err != nil {
		return err
	}
	kept, err := store.Open(ctx, o.store)
	if err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	defer kept.Close() //nolint:errcheck // what was written is on disk
	im := &importer{cfg: cfg, store: kept, out: out, job: o.job, parallel: o.parallel, now: time.Now, known: map[runKey]bool{}}
	if o.keepFor > 0 {
		im.after = im.now().Add(-o.keepFor)
	}
	err = kept.EachRun(ctx, 1<<31-1, func(r store.Run) error {
		im.known[runKey{r.Job, r.Build}] = true
		return nil
	})
	if err != nil {
		return err
	}
	opener := providers.New(o.credentials)
	var errs []error
	for _, location := range locations {
		if err := im.location(ctx, opener, location); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", location, err))
		}
	}
	fmt.Fprintln(out, "In all:", im.sum)
	if err := ctx.Err(); err != nil {
		return errors.Join(append(errs, errors.New("it was stopped before the end; start it again to go on"))...)
	}
	pruned, err := kept.PruneRuns(ctx, im.after, o.keep)
	if pruned > 0 {
		fmt.Fprintln(out, "Forgotten because of their age or number:", pruned)
	}
	return errors.Join(append(errs, err)...)
}

// location imports the runs of a bucket.
func (im *importer) location(ctx context.Context, opener *storage.Opener, location string) error {
	where, err := storage.ParseLocation(location)
	if err != nil {
		return err
	}
	prefix := ""
	if where.Prefix != "" {
		prefix = where.Prefix + "/"
	}
	top, err := parsePlace(im.cfg, where.Provider+"/"+strings.Trim(where.Bucket, "/")+"/"+prefix+"logs")
	if err != nil {
		return err
	}
	bucket, err := opener.Open(ctx, top.bucketURL())
	if err != nil {
		return err
	}
	defer bucket.Close() //nolint:errcheck // only read
	var errs []error
	// Pointers to runs of pull requests are at the top of the bucket, whatever the prefix.
	for _, root := range slices.Compact([]string{top.key, strings.TrimSuffix(top.key, "logs") + "pr-logs/pull/batch", strings.TrimSuffix(top.key, prefix+"logs") + "pr-logs/directory"}) {
		errs = append(errs, im.jobs(ctx, bucket, top.at(root)))
	}
	return errors.Join(errs...)
}

// jobs imports the runs of all jobs below a directory, one job after the other.
func (im *importer) jobs(ctx context.Context, bucket storage.Bucket, root place) error {
	aliases := strings.HasSuffix(root.key, "pr-logs/directory")
	if im.job != "" {
		return im.runs(ctx, bucket, historyRoot{root.at(root.key + "/" + im.job), im.job, aliases})
	}
	var errs []error
	for token := ""; ; {
		page, err := bucket.List(ctx, storage.ListOptions{Prefix: root.key + "/", Delimiter: "/", Token: token})
		if err != nil {
			return fmt.Errorf("listing %s: %w", root.path(), err)
		}
		for _, item := range page.Items {
			if job := strings.TrimSuffix(strings.TrimPrefix(item.Key, root.key+"/"), "/"); item.IsDir && job != "" {
				if err := im.runs(ctx, bucket, historyRoot{root.at(root.key + "/" + job), job, aliases}); err != nil {
					errs = append(errs, err)
				}
				if ctx.Err() != nil {
					return errors.Join(errs...)
				}
			}
		}
		if token = page.Next; token == "" {
			return errors.Join(errs...)
		}
	}
}

// runs imports the runs of a job, the newest first, until they are too old.
func (im *importer) runs(ctx context.Context, bucket storage.Bucket, root historyRoot) error {
	ending := "/"
	if root.aliases {
		ending = ".txt"
	}
	ids, _, err := listBuilds(ctx, bucket, root.key, ending)
	if err != nil || len(ids) == 0 {
		return err
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	before := im.sum
	for part := range slices.Chunk(ids, 4*im.parallel) {
		var group errgroup.Group
		group.SetLimit(im.parallel)
		tooOld := false
		for _, id := range part {
			build := strconv.FormatUint(id, 10)
			if im.known[runKey{root.job, build}] {
				im.count(func(c *importCount) { c.known++ })
				continue
			}
			group.Go(func() error {
				old, err := im.run(ctx, bucket, root, build)
				switch {
				case ctx.Err() != nil:
				case errors.Is(err, errUnfinished):
					im.count(func(c *importCount) { c.unfinished++ })
				case err != nil:
					im.count(func(c *importCount) {
						c.broken++
						fmt.Fprintf(im.out, "%s, build %s is skipped: %v\n", root.path(), build, err)
					})
				case old:
					im.count(func(*importCount) { tooOld = true })
				}
				return nil
			})
		}
		_ = group.Wait() // errors are counted
		if err := im.write(ctx); err != nil {
			return err
		}
		if tooOld || ctx.Err() != nil {
			break
		}
	}
	after := im.sum
	if did := (importCount{after.imported - before.imported, after.known - before.known, after.unfinished - before.unfinished, after.broken - before.broken}); did.imported+did.broken > 0 {
		fmt.Fprintf(im.out, "%s: %s\n", root.path(), did)
	}
	return nil
}

func (im *importer) count(do func(*importCount)) {
	im.mu.Lock()
	defer im.mu.Unlock()
	do(&im.sum)
}

// run reads one run; tooOld tells that it is not wanted.
func (im *importer) run(ctx context.Context, bucket storage.Bucket, root historyRoot, build string) (tooOld bool, err error) {
	where := root.at(root.key + "/" + build)
	if root.aliases {
		text, err := storage.ReadAll(ctx, bucket, root.key+"/"+build+".txt", maxAlias)
		if err != nil {
			return false, err
		}
		target, err := leadsTo(im.cfg, root, build, string(text))
		if err != nil {
			return false, err
		}
		where = target.place
	}
	dir, err := parseRunDir(where.key)
	if err != nil {
		return false, err
	}
	pj, err := findRun(ctx, im.cfg, bucket, where, dir)
	if err != nil {
		return false, err
	}
	if pj.Status.StartTime.Time.Before(im.after) {
		return true, nil
	}
	body, err := packBody(pj)
	if err != nil {
		return false, err
	}
	row := entryOf(pj).row(where.path(), body)
	im.count(func(c *importCount) {
		im.rows = append(im.rows, row)
		c.imported++
	})
	return false, nil
}

// write writes the runs that were read. What a cluster has told of a run stays.
func (im *importer) write(ctx context.Context) error {
	im.mu.Lock()
	defer im.mu.Unlock()
	if len(im.rows) == 0 {
		return nil
	}
	// What was read is not lost because somebody stops it now.
	if err := im.store.AddRuns(context.WithoutCancel(ctx), im.rows, im.now()); err != nil {
		return err
	}
	for _, r := range im.rows {
		im.known[runKey{r.Job, r.Build}] = true
	}
	im.rows = im.rows[:0]
	return nil
}

// leadsTo reads where an alias leads. Whoever may write there is believed only as far as
// it leads to a build of this job, of this number, in this bucket.
func leadsTo(cfg *config.Config, root historyRoot, build, text string) (aliased, error) {
	target := strings.TrimSpace(text)
	if provider, rest, found := strings.Cut(target, "://"); found {
		target = provider + "/" + strings.TrimLeft(rest, "/")
	}
	where, err := parsePlace(cfg, target)
	if err != nil {
		return aliased{}, err
	}
	dir, err := parseRunDir(where.key)
	if err != nil {
		return aliased{}, err
	}
	if where.bucketURL() != root.bucketURL() || dir.job != root.job || dir.build != build || dir.rest != "" {
		return aliased{}, fmt.Errorf("%w: it leads to %s", errRefused, where.path())
	}
	return aliased{where, dir.repo}, nil
}
