package clone

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5" // #nosec: names a file in a log, guards nothing
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/git"
	"prow/internal/pod/censor"
	"prow/internal/pod/options"
)

// Cloner clones the refs of a job.
type Cloner struct {
	opts   *options.Clone
	logger *slog.Logger
	runner *git.Runner
	now    func() time.Time
	// wait is replaced in tests.
	wait func(context.Context, time.Duration) error

	// Set by the preparation.
	env   []string // further variables of every git command, as recorded
	token func(ctx context.Context, refs v1.Refs) (credentials, error)

	mu      sync.Mutex
	secrets [][]byte
	masker  *censor.Masker
}

// credentials are what a repository is fetched with.
type credentials struct{ user, password string }

// New returns a cloner. The environment is that of clonerefs.
func New(opts *options.Clone, environ []string, logger *slog.Logger) *Cloner {
	return &Cloner{
		opts:   opts,
		logger: logger,
		runner: git.NewRunner(environ,
			git.Setting{Key: "http.lowSpeedLimit", Value: "1"}, // end a transfer that hangs
			git.Setting{Key: "http.lowSpeedTime", Value: "300"},
			git.Setting{Key: "safe.directory", Value: "*"}, // volumes may belong to another user
		),
		now:    time.Now,
		wait:   wait,
		masker: censor.NewMasker(nil),
	}
}

// Run clones everything and writes the records. The error is about the records,
// or about a failed clone if the options want one.
func (c *Cloner) Run(ctx context.Context) error {
	records := c.clone(ctx)
	encoded, err := json.Marshal(records)
	if err != nil {
		return fmt.Errorf("writing the clone records: %w", err)
	}
	if err := os.WriteFile(c.opts.Log, encoded, 0o755); err != nil {
		return fmt.Errorf("writing the clone records: %w", err)
	}
	failed := slices.ContainsFunc(records, func(r artifacts.CloneRecord) bool { return r.Failed })
	if failed && c.opts.Fail {
		return fmt.Errorf("a clone failed; see %s", c.opts.Log)
	}
	return nil
}

// clone returns the record of the preparation and then one for each ref.
func (c *Cloner) clone(ctx context.Context) []artifacts.CloneRecord {
	preparation := c.prepare(ctx)
	if preparation.Failed {
		return []artifacts.CloneRecord{c.masked(preparation)}
	}
	records := make([]artifacts.CloneRecord, len(c.opts.Refs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range cmp.Or(c.opts.MaxParallelWorkers, len(records)) {
		wg.Go(func() {
			for i := range next {
				records[i] = c.cloneRefs(ctx, c.opts.Refs[i])
				c.logger.Info("Cloned.", "repo", c.opts.Refs[i].OrgRepoString(), "failed", records[i].Failed, "sha", records[i].FinalSHA, "duration", records[i].Duration.String())
			}
		})
	}
	for i := range records {
		next <- i
	}
	close(next)
	wg.Wait()
	records = append([]artifacts.CloneRecord{preparation}, records...)
	for i := range records {
		records[i] = c.masked(records[i])
	}
	return records
}

// addSecret keeps a secret out of the records. Tokens that are vended while
// others clone come late, so the masking waits for the end.
func (c *Cloner) addSecret(secret []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = append(c.secrets, secret)
	c.masker = censor.NewMasker(censor.Patterns(c.secrets, 0))
}

// mask removes the known secrets and the credentials of addresses.
func (c *Cloner) mask(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return git.Redact(c.masker.MaskString(text))
}

func (c *Cloner) masked(record artifacts.CloneRecord) artifacts.CloneRecord {
	for i := range record.Commands {
		command := &record.Commands[i]
		command.Command, command.Output, command.Error = c.mask(command.Command), c.mask(command.Output), c.mask(command.Error)
	}
	return record
}

// prepare sets up what all clones need.
func (c *Cloner) prepare(ctx context.Context) artifacts.CloneRecord {
	record := artifacts.CloneRecord{}
	begin := c.now()
	defer func() { record.Duration = c.now().Sub(begin) }()
	for _, step := range []func(context.Context) ([]artifacts.CloneCommand, error){
		c.addSSHKeys, c.addFingerprints, c.readToken, c.addApp, c.addCookieFile,
	} {
		commands, err := step(ctx)
		record.Commands = append(record.Commands, commands...)
		if err != nil {
			c.logger.Error("Preparing to clone failed.", "error", c.mask(err.Error()))
			record.Failed = true
			return record
		}
	}
	return record
}

// readToken reads the token for https.
func (c *Cloner) readToken(context.Context) ([]artifacts.CloneCommand, error) {
	if c.opts.OauthTokenFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(c.opts.OauthTokenFile)
	if err != nil {
		return []artifacts.CloneCommand{{Command: "reading the OAuth token", Error: err.Error()}}, err
	}
	c.addSecret(content)
	token := credentials{user: string(bytes.TrimSpace(content)), password: "x-oauth-basic"}
	c.token = func(context.Context, v1.Refs) (credentials, error) { return token, nil }
	return nil, nil
}

// addCookieFile makes every transfer send the cookies of the file.
func (c *Cloner) addCookieFile(context.Context) ([]artifacts.CloneCommand, error) {
	if c.opts.CookiePath == "" {
		return nil, nil
	}
	content, err := os.ReadFile(c.opts.CookiePath)
	if err != nil {
		c.logger.Warn("The cookie file cannot be read.", "path", c.opts.CookiePath, "error", err.Error())
	} else {
		sum := md5.Sum(content)
		c.logger.Info("Using a cookie file.", "path", c.opts.CookiePath, "md5", hex.EncodeToString(sum[:]))
	}
	c.runner = c.runner.With(git.Setting{Key: "http.cookiefile", Value: c.opts.CookiePath})
	return nil, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
