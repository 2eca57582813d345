package clone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/git"
)

// maxRecordedOutput bounds what a record keeps of one command, in bytes.
const maxRecordedOutput = 1 << 20

// retryWaits are the pauses between attempts to fetch.
func retryWaits() []time.Duration {
	return []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond,
		2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	}
}

// hopelessAfter is the attempt after which an error that looks permanent is
// believed. At first it is not: a code host may know a new ref or token late.
const hopelessAfter = 5

// permanentErrors are parts of messages that stay true when asked again.
func permanentErrors() []string {
	return []string{
		"couldn't find remote ref", "not our ref", "does not appear to be a git repository",
		"Authentication failed", "could not read Username", "Permission denied", "Repository not found",
		"' not found", "does not exist", "transport '", "invalid refspec",
	}
}

// cloneRefs clones one repository.
func (c *Cloner) cloneRefs(ctx context.Context, refs v1.Refs) artifacts.CloneRecord {
	s := &sequence{cloner: c, refs: refs, address: refs.CloneURI, record: artifacts.CloneRecord{Refs: refs}}
	begin := c.now()
	if err := s.clone(ctx); err != nil {
		c.logger.Error("Cloning failed.", "repo", refs.OrgRepoString(), "error", c.mask(err.Error()))
		s.record.Failed = true
	}
	s.record.Duration = c.now().Sub(begin)
	return s.record
}

// sequence is the commands for one repository.
type sequence struct {
	cloner  *Cloner
	refs    v1.Refs
	address string
	dir     string
	git     *git.Runner
	record  artifacts.CloneRecord
}

func (s *sequence) clone(ctx context.Context) error {
	refs, opts := s.refs, s.cloner.opts
	if err := noFlags(refs); err != nil {
		s.record.Commands = append(s.record.Commands, artifacts.CloneCommand{Command: "checking the refs of " + refs.OrgRepoString(), Error: err.Error()})
		return err
	}
	if s.address == "" {
		s.address = "https://github.com/" + refs.Org + "/" + refs.Repo + ".git"
		if refs.RepoLink != "" {
			s.address = refs.RepoLink + ".git"
		}
	}
	var login credentials
	if s.cloner.token != nil {
		var err error
		if login, err = s.cloner.token(ctx, refs); err != nil {
			err = fmt.Errorf("getting a token: %w", err)
			s.record.Commands = append(s.record.Commands, artifacts.CloneCommand{Command: "getting a token for " + refs.OrgRepoString(), Error: err.Error()})
			return err
		}
	}
	s.git = s.cloner.gitFor(s.address, login)
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := s.run(ctx, "init"); err != nil {
		return err
	}
	for _, setting := range []struct {
		key, value string
		when       bool
	}{
		{"user.name", opts.GitUserName, opts.GitUserName != ""},
		{"user.email", opts.GitUserEmail, opts.GitUserEmail != ""},
		{"http.cookiefile", opts.CookiePath, opts.CookiePath != "" && refs.SkipSubmodules},
	} {
		if setting.when {
			if err := s.run(ctx, "config", setting.key, setting.value); err != nil {
				return err
			}
		}
	}
	if err := s.base(ctx); err != nil {
		return err
	}
	if err := s.pulls(ctx); err != nil {
		return err
	}
	if !refs.SkipSubmodules {
		if err := s.run(ctx, "submodule", "update", "--init", "--recursive"); err != nil {
			return err
		}
	}
	sha, err := s.git.Output(ctx, s.dir, "rev-parse", "HEAD")
	if err != nil {
		s.cloner.logger.Warn("The final commit cannot be told.", "repo", refs.OrgRepoString(), "error", err.Error())
	}
	s.record.FinalSHA = sha
	return nil
}

// noFlags refuses what git would take for a flag, with which a ref could run commands.
func noFlags(refs v1.Refs) error {
	values := append([]string{refs.BaseRef, refs.BaseSHA, refs.CloneURI, refs.RepoLink}, refs.SparseCheckoutFiles...)
	for _, pull := range refs.Pulls {
		values = append(values, pull.SHA, pull.Ref)
	}
	for _, value := range values {
		if strings.HasPrefix(value, "-") {
			return fmt.Errorf("%q begins with a dash", value)
		}
	}
	return nil
}

func (s *sequence) makeDir() error {
	begin := s.cloner.now()
	dir, err := cloneDir(s.cloner.opts.SrcRoot, s.refs)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	s.dir = dir
	s.add("/", nil, "mkdir", []string{"-p", dir}, "", err, s.cloner.now().Sub(begin))
	return err
}

// base checks the base out, on a branch of its name.
func (s *sequence) base(ctx context.Context) error {
	refs := s.refs
	sparse := len(refs.SparseCheckoutFiles) > 0
	fetch := []string{"fetch"}
	if refs.CloneDepth > 0 {
		fetch = append(fetch, "--depth", strconv.Itoa(refs.CloneDepth))
	}
	fetch = append(fetch, s.filter()...)

	if sparse {
		// The patterns may name files; newer git would take them for directories.
		if err := s.run(ctx, "sparse-checkout", "init", "--no-cone"); err != nil {
			return err
		}
	} else if !refs.SkipFetchHead {
		if err := s.fetch(ctx, append(fetch, s.address, "--tags", "--prune")); err != nil {
			return err
		}
	}
	what, target := refs.BaseRef, "FETCH_HEAD"
	if refs.BaseSHA != "" {
		what, target = refs.BaseSHA, refs.BaseSHA
	}
	if sparse {
		fetch = append(fetch, "--no-tags")
	}
	if err := s.fetch(ctx, append(fetch, s.address, what)); err != nil {
		return err
	}
	if sparse {
		if err := s.run(ctx, append([]string{"sparse-checkout", "set"}, refs.SparseCheckoutFiles...)...); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"checkout", target},
		{"branch", "--force", refs.BaseRef, target},
		{"checkout", refs.BaseRef},
	} {
		if err := s.run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// filter leaves out the blobs, which git gets when it needs them.
func (s *sequence) filter() []string {
	if (s.refs.BloblessFetch != nil && *s.refs.BloblessFetch) || len(s.refs.SparseCheckoutFiles) > 0 {
		return []string{"--filter=blob:none"}
	}
	return nil
}

// pulls merges the pulls into the base. The dates count up from that of the base,
// so that the merge commits of two runs are the same.
func (s *sequence) pulls(ctx context.Context) error {
	if len(s.refs.Pulls) == 0 {
		return nil
	}
	headTime := s.cloner.now().Unix()
	if text, err := s.git.Output(ctx, s.dir, "show", "-s", "--format=format:%ct", "HEAD"); err == nil {
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			headTime = seconds
		}
	}
	for i, pull := range s.refs.Pulls {
		what, commit := pull.Ref, "FETCH_HEAD"
		if what == "" {
			what = pull.SHA
		}
		if what == "" {
			what = fmt.Sprintf("pull/%d/head", pull.Number)
		}
		if pull.SHA != "" {
			commit = pull.SHA
		}
		fetch := append([]string{"fetch"}, s.filter()...)
		if err := s.fetch(ctx, append(fetch, s.address, what)); err != nil {
			return err
		}
		date := fmt.Sprintf("%d +0000", headTime+int64(i)+1)
		env := []string{"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date}
		if err := s.runEnv(ctx, env, "merge", "--no-ff", commit); err != nil {
			return err
		}
	}
	return nil
}

func (s *sequence) run(ctx context.Context, args ...string) error {
	return s.runEnv(ctx, nil, args...)
}

func (s *sequence) runEnv(ctx context.Context, env []string, args ...string) error {
	command, err := s.attempt(ctx, env, args)
	s.record.Commands = append(s.record.Commands, command)
	return err
}

// fetch is run with retries; only the last attempt is recorded.
func (s *sequence) fetch(ctx context.Context, args []string) error {
	waits := retryWaits()
	for attempt := 1; ; attempt++ {
		command, err := s.attempt(ctx, nil, args)
		permanent := err != nil && attempt >= hopelessAfter && containsAny(command.Output, permanentErrors())
		if err == nil || permanent || attempt > len(waits) || s.cloner.wait(ctx, waits[attempt-1]) != nil {
			s.record.Commands = append(s.record.Commands, command)
			return err
		}
	}
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

func (s *sequence) attempt(ctx context.Context, env, args []string) (artifacts.CloneCommand, error) {
	begin := s.cloner.now()
	out := &boundedBuffer{}
	err := s.git.WithEnv(env...).Combined(ctx, s.dir, out, args...)
	return s.command(s.dir, append(append([]string{}, s.cloner.env...), env...), "git", args, out.String(), err, s.cloner.now().Sub(begin)), err
}

func (s *sequence) add(dir string, env []string, program string, args []string, output string, err error, took time.Duration) {
	s.record.Commands = append(s.record.Commands, s.command(dir, env, program, args, output, err, took))
}

func (s *sequence) command(dir string, env []string, program string, args []string, output string, err error, took time.Duration) artifacts.CloneCommand {
	command := artifacts.CloneCommand{
		Command:  fmt.Sprintf("PWD=%s %s %s %s", dir, strings.Join(env, " "), program, strings.Join(args, " ")),
		Output:   output,
		Duration: took,
	}
	if gitErr := (*git.Error)(nil); errors.As(err, &gitErr) {
		err = gitErr.Err // the messages are in the output already
	}
	if err != nil {
		command.Error = err.Error()
	}
	return command
}

// boundedBuffer keeps the beginning of an output.
type boundedBuffer struct {
	bytes.Buffer
	cut int
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	keep := min(len(p), maxRecordedOutput-b.Len())
	b.Buffer.Write(p[:keep])
	b.cut += len(p) - keep
	return len(p), nil
}

func (b *boundedBuffer) String() string {
	if b.cut == 0 {
		return b.Buffer.String()
	}
	return fmt.Sprintf("%s\n(%d bytes more)\n", b.Buffer.String(), b.cut)
}
