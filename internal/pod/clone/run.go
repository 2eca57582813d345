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
	"path/filepath"
	"slices"
	"sync"
	"time"

	"prow/api/artifacts"
	"prow/internal/git"
	"prow/internal/pod/censor"
	"prow/internal/pod/options"
)

// Cloner clones the refs of a job.
type Cloner struct {
	opts    *options.Clone
	environ []string
	logger  *slog.Logger
	runner  *git.Runner
	now     func() time.Time
	// wait, and where ssh finds the keys of hosts, are replaced in tests.
	wait       func(context.Context, time.Duration) error
	knownHosts knownHosts

	// Set by the preparation.
	env   []string // further variables of every git command, as recorded
	token tokens
	stop  []func() // ends what the preparation started

	mu      sync.Mutex
	secrets [][]byte
	masker  *censor.Masker
}

// New returns a cloner. The environment is that of clonerefs.
func New(opts *options.Clone, environ []string, logger *slog.Logger) *Cloner {
	return &Cloner{
		opts:    opts,
		environ: environ,
		logger:  logger,
		runner: git.NewRunner(environ,
			git.Setting{Key: "http.lowSpeedLimit", Value: "1"}, // end a transfer that hangs
			git.Setting{Key: "http.lowSpeedTime", Value: "300"},
			git.Setting{Key: "safe.directory", Value: "*"}, // volumes may belong to another user
			// Only these ways of transport exist, for submodules, too. Local repositories
			// may be cloned where the job says so, but not where a submodule says so.
			git.Setting{Key: "protocol.allow", Value: "never"},
			git.Setting{Key: "protocol.https.allow", Value: "always"},
			git.Setting{Key: "protocol.http.allow", Value: "always"},
			git.Setting{Key: "protocol.ssh.allow", Value: "always"},
			git.Setting{Key: "protocol.git.allow", Value: "always"},
			git.Setting{Key: "protocol.file.allow", Value: "user"},
			// The repository lives as long as its pod: tidying it up is lost time.
			git.Setting{Key: "gc.auto", Value: "0"},
			git.Setting{Key: "maintenance.auto", Value: "false"},
		),
		now:        time.Now,
		wait:       wait,
		knownHosts: knownHosts{file: "/tmp/known_hosts", pinned: "/github_known_hosts"},
		masker:     censor.NewMasker(nil),
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

// clone returns the record of the preparation and then one for each ref, in the
// order of the refs.
func (c *Cloner) clone(ctx context.Context) []artifacts.CloneRecord {
	defer func() {
		for _, stop := range c.stop {
			stop()
		}
	}()
	preparation := c.prepare(ctx)
	if preparation.Failed {
		return []artifacts.CloneRecord{c.masked(preparation)}
	}
	records := make([]artifacts.CloneRecord, len(c.opts.Refs))
	groups := c.byDirectory()
	next := make(chan []int)
	var wg sync.WaitGroup
	for range min(cmp.Or(c.opts.MaxParallelWorkers, len(groups)), len(groups)) {
		wg.Go(func() {
			for group := range next {
				for _, i := range group {
					records[i] = c.cloneRefs(ctx, c.opts.Refs[i])
					c.logger.Info("Cloned.", "repo", c.opts.Refs[i].OrgRepoString(), "failed", records[i].Failed, "sha", records[i].FinalSHA, "duration", records[i].Duration.String())
				}
			}
		})
	}
	for _, group := range groups {
		next <- group
	}
	close(next)
	wg.Wait()
	records = append([]artifacts.CloneRecord{preparation}, records...)
	for i := range records {
		records[i] = c.masked(records[i])
	}
	return records
}

// byDirectory groups the indexes of the refs by where they go: those that share a
// directory would be in each other's way at the same time.
func (c *Cloner) byDirectory() [][]int {
	var groups [][]int
	at := map[string]int{}
	for i, refs := range c.opts.Refs {
		dir := filepath.Clean(refs.ClonePath(c.opts.SrcRoot))
		group, ok := at[dir]
		if !ok {
			group = len(groups)
			at[dir] = group
			groups = append(groups, nil)
		}
		groups[group] = append(groups[group], i)
	}
	return groups
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
	record.Message = c.mask(record.Message)
	record.Refs.CloneURI, record.Refs.RepoLink = c.mask(record.Refs.CloneURI), c.mask(record.Refs.RepoLink)
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
			record.Failed, record.Reason, record.Message = true, artifacts.CloneError, err.Error()
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
	if len(bytes.TrimSpace(content)) == 0 {
		err := fmt.Errorf("%s is empty", c.opts.OauthTokenFile)
		return []artifacts.CloneCommand{{Command: "reading the OAuth token", Error: err.Error()}}, err
	}
	token := credentials{user: string(bytes.TrimSpace(content)), password: "x-oauth-basic"}
	c.token = func(context.Context, string) (credentials, error) { return token, nil }
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
