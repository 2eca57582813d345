package clone

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/git"
)

// retryWaits are the pauses between attempts to fetch.
func retryWaits() []time.Duration {
	return []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond,
		2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	}
}

// cloneRefs clones one repository.
func (c *Cloner) cloneRefs(ctx context.Context, refs v1.Refs) artifacts.CloneRecord {
	s := &sequence{cloner: c, refs: refs, git: c.runner, logins: logins{}, record: artifacts.CloneRecord{Refs: refs}}
	begin := c.now()
	if err := s.clone(ctx); err != nil {
		c.logger.Error("Cloning failed.", "repo", refs.OrgRepoString(), "error", c.mask(err.Error()))
		s.record.Failed, s.record.Reason, s.record.Message = true, artifacts.CloneError, err.Error()
		if f := (*failure)(nil); errors.As(err, &f) {
			s.record.Reason = f.reason
		}
	}
	s.record.Duration = c.now().Sub(begin)
	return s.record
}

// sequence is the commands for one repository.
type sequence struct {
	cloner *Cloner
	refs   v1.Refs
	// address is where to fetch from, without a password.
	address string
	logins  logins
	dir     string
	git     *git.Runner
	record  artifacts.CloneRecord
}

func (s *sequence) clone(ctx context.Context) error {
	if err := checkRefs(s.refs); err != nil {
		s.note("checking the refs of "+s.refs.OrgRepoString(), "", err)
		return &failure{artifacts.CloneInvalid, err}
	}
	if err := s.authorize(ctx); err != nil {
		s.note("getting a token for "+s.refs.OrgRepoString(), "", err)
		return err
	}
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := s.initialize(ctx); err != nil {
		return err
	}
	forget := s.useMirror(ctx)
	err := s.base(ctx)
	if err == nil {
		s.authorizeSubmodules(ctx)
		err = s.pulls(ctx)
	}
	if err = errors.Join(err, forget()); err != nil {
		return err
	}
	if err := s.submodules(ctx); err != nil {
		return err
	}
	sha, err := s.git.Output(ctx, s.dir, "rev-parse", "HEAD")
	if err != nil {
		s.cloner.logger.Warn("The final commit cannot be told.", "repo", s.refs.OrgRepoString(), "error", err.Error())
	}
	s.record.FinalSHA = sha
	return nil
}

// authorize finds out from where to fetch, and with which credentials.
func (s *sequence) authorize(ctx context.Context) error {
	s.address = s.refs.CloneURI
	if s.address == "" {
		s.address = "https://github.com/" + s.refs.Org + "/" + s.refs.Repo + ".git"
		if s.refs.RepoLink != "" {
			s.address = s.refs.RepoLink + ".git"
		}
	}
	var login credentials
	if s.address, login = withoutCredentials(s.address); login != (credentials{}) {
		s.cloner.addSecret([]byte(login.password))
	}
	if s.cloner.token != nil {
		var err error
		if login, err = s.cloner.token(ctx, s.refs.Org); err != nil {
			return fmt.Errorf("getting a token: %w", err)
		}
	}
	if to, ok := scopeOf(s.address); ok && login != (credentials{}) {
		s.logins[to.address] = login
		s.git = s.git.With(s.logins.settings()...)
	}
	return nil
}

func (s *sequence) makeDir() error {
	begin := s.cloner.now()
	root := s.cloner.opts.SrcRoot
	dir, err := cloneDir(root, s.refs)
	if err == nil {
		err = makeCloneDir(root, dir)
	}
	s.dir = dir
	s.add("/", nil, "mkdir", []string{"-p", dir}, "", err, s.cloner.now().Sub(begin))
	return err
}

func (s *sequence) initialize(ctx context.Context) error {
	refs, opts := s.refs, s.cloner.opts
	if err := s.run(ctx, "init"); err != nil {
		return err
	}
	// Another clone may have put a link into the way since the directory was made.
	// From now on it cannot, for the directory is not empty any more.
	if err := staysInside(opts.SrcRoot, filepath.Join(s.dir, ".git")); err != nil {
		s.note("checking the directory of "+refs.OrgRepoString(), "", err)
		return &failure{artifacts.CloneInvalid, err}
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
	return nil
}

// sparse tells whether the work tree is restricted, and to what.
func (s *sequence) sparse() (mode string, what []string, ok bool) {
	if dirs := s.refs.SparseCheckout; len(dirs) > 0 {
		for _, dir := range dirs {
			what = append(what, strings.Trim(dir, "/"))
		}
		return "--cone", what, true
	}
	// Patterns may name files; newer git would take them for directories.
	return "--no-cone", s.refs.SparseCheckoutFiles, len(s.refs.SparseCheckoutFiles) > 0
}

// base checks the base out, on a branch of its name.
func (s *sequence) base(ctx context.Context) error {
	refs := s.refs
	fetch := []string{"fetch"}
	if refs.CloneDepth > 0 {
		fetch = append(fetch, "--depth", strconv.Itoa(refs.CloneDepth))
	}
	fetch = append(fetch, s.filter()...)

	mode, patterns, sparse := s.sparse()
	if sparse {
		if err := s.run(ctx, "sparse-checkout", "init", mode); err != nil {
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
		if err := s.run(ctx, append([]string{"sparse-checkout", "set"}, patterns...)...); err != nil {
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
	if _, _, sparse := s.sparse(); sparse || (s.refs.BloblessFetch != nil && *s.refs.BloblessFetch) {
		return []string{"--filter=blob:none"}
	}
	return nil
}

// run runs git once.
func (s *sequence) run(ctx context.Context, args ...string) error {
	return s.runEnv(ctx, nil, args...)
}

func (s *sequence) runEnv(ctx context.Context, env []string, args ...string) error {
	command, err := s.attempt(ctx, env, args)
	s.record.Commands = append(s.record.Commands, command)
	if err != nil {
		return fmt.Errorf("git %s: %s", args[0], explain(command))
	}
	return nil
}

// fetch runs a command that talks to a host, again if that may help; only the
// last attempt is recorded.
func (s *sequence) fetch(ctx context.Context, args []string) error {
	waits := retryWaits()
	for attempt := 1; ; attempt++ {
		command, err := s.attempt(ctx, nil, args)
		reason, tries := classify(command.Output)
		if err == nil || attempt >= tries || attempt > len(waits) || s.cloner.wait(ctx, waits[attempt-1]) != nil {
			s.record.Commands = append(s.record.Commands, command)
			if err == nil {
				return nil
			}
			return &failure{reason, fmt.Errorf("git %s: %s", args[0], explain(command))}
		}
		s.cloner.logger.Warn("Git will be tried again.", "repo", s.refs.OrgRepoString(), "command", args[0], "attempt", attempt, "error", s.cloner.mask(explain(command)))
	}
}

// explain says in a line why a command failed.
func explain(command artifacts.CloneCommand) string {
	if words := lastWords(command.Output); words != "" {
		return words
	}
	return command.Error
}

func (s *sequence) attempt(ctx context.Context, env, args []string) (artifacts.CloneCommand, error) {
	begin := s.cloner.now()
	out := &boundedBuffer{}
	err := s.git.WithEnv(env...).Combined(ctx, s.dir, out, args...)
	return s.command(s.dir, append(append([]string{}, s.cloner.env...), env...), "git", args, out.String(), err, s.cloner.now().Sub(begin)), err
}

// note records a step that is no command.
func (s *sequence) note(step, output string, err error) {
	command := artifacts.CloneCommand{Command: step, Output: output}
	if err != nil {
		command.Error = err.Error()
	}
	s.record.Commands = append(s.record.Commands, command)
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
