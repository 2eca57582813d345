package configtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"prow/internal/config"
	"prow/internal/git"
	"prow/internal/service"
)

// ErrDiffers is the result of `diff --exit-code` where something changed.
var ErrDiffers = errors.New("the configurations differ")

func diffCommand() *cobra.Command {
	var opts config.Options
	var form output
	var exitCode, all bool
	cmd := &cobra.Command{
		Use: "diff OLD NEW", Short: "Tell what a change of the configuration means for the jobs",
		Long: `Compares two states of a configuration by what they mean: which jobs are added or removed, when
jobs run, whether they gate merges, where they report and what their pods are, after defaults and
presets are applied; and which settings of the components change.

OLD and NEW are directories, or revisions of the git repository in the current directory. The paths
of the other flags are relative to them.`,
		Example:      `  prow config diff origin/main . --config-path=config/config.yaml --job-config-path=config/jobs`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &service.UsageError{Err: errors.New("name two states: directories, or git revisions")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(opts.Validate(), form.validate()); err != nil {
				return &service.UsageError{Err: err}
			}
			var states [2]*config.Config
			for i, name := range args {
				var err error
				if states[i], err = loadState(cmd.Context(), name, opts); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			d, err := Compare(states[0], states[1])
			if err != nil {
				return err
			}
			if form == "json" {
				err = writeJSON(cmd.OutOrStdout(), d)
			} else {
				err = d.Print(cmd.OutOrStdout(), all)
			}
			if err == nil && exitCode && !d.Empty() {
				return ErrDiffers
			}
			return err
		},
	}
	opts.Bind(cmd.Flags())
	form.bind(cmd.Flags())
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "Exit with 1 if anything changes.")
	cmd.Flags().BoolVar(&all, "all", false, "Name every job, also where many have the same change.")
	return cmd
}

// loadState loads the configuration of a directory or revision.
func loadState(ctx context.Context, name string, opts config.Options) (*config.Config, error) {
	dir := name
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		tree, err := checkOut(ctx, name)
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(tree)
		dir = tree
	}
	below := func(path string) string {
		if path == "" {
			return ""
		}
		return filepath.Join(dir, path)
	}
	opts.ConfigPath, opts.JobConfigPath = below(opts.ConfigPath), below(opts.JobConfigPath)
	dirs := make([]string, len(opts.SupplementalDirs))
	for i, d := range opts.SupplementalDirs {
		dirs[i] = below(d)
	}
	opts.SupplementalDirs = dirs
	return config.Load(ctx, opts)
}

// checkOut puts the files of a revision of the repository in the current
// directory into a directory of their own. The repository stays as it is.
func checkOut(ctx context.Context, revision string) (string, error) {
	runner := git.NewRunner(os.Environ())
	commit, err := runner.Output(ctx, ".", "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return "", errors.New("neither a directory nor a revision of the git repository in the current directory")
	}
	gitDir, err := runner.Output(ctx, ".", "rev-parse", "--absolute-git-dir")
	if err != nil {
		return "", err
	}
	tree, err := os.MkdirTemp("", "prow-config")
	if err != nil {
		return "", err
	}
	// An index of its own keeps the checkout away from that of the repository.
	own := runner.WithEnv("GIT_INDEX_FILE="+filepath.Join(tree, ".index"), "GIT_DIR="+gitDir, "GIT_WORK_TREE="+tree)
	for _, args := range [][]string{{"read-tree", commit}, {"checkout-index", "--all", "--quiet"}} {
		if _, err := own.Output(ctx, tree, args...); err != nil {
			return "", errors.Join(err, os.RemoveAll(tree))
		}
	}
	return tree, nil
}

// shown is how many jobs of a group are named.
const shown = 5

// Print writes a summary, then each change; lists of jobs are cut unless all
// is set.
func (d *Diff) Print(w io.Writer, all bool) error {
	var b strings.Builder
	if d.Empty() {
		b.WriteString("nothing changes\n")
	} else {
		count := 0
		for _, c := range d.Changed {
			count += len(c.Jobs)
		}
		fmt.Fprintf(&b, "jobs: %d added, %d removed, %d changed; settings: %d changed\n", len(d.Added), len(d.Removed), count, len(d.Settings))
	}
	for _, j := range d.Added {
		fmt.Fprintf(&b, "\n+ %s\n    runs %s\n", j.Job, j.Runs)
	}
	for _, j := range d.Removed {
		fmt.Fprintf(&b, "\n- %s\n    ran %s\n", j.Job, j.Runs)
	}
	for _, c := range d.Changed {
		b.WriteByte('\n')
		names := c.Jobs
		if !all && len(names) > shown+1 {
			names = names[:shown]
		}
		for _, name := range names {
			fmt.Fprintf(&b, "~ %s\n", name)
		}
		if rest := len(c.Jobs) - len(names); rest > 0 {
			fmt.Fprintf(&b, "~ and %d more\n", rest)
		}
		for _, change := range c.Changes {
			fmt.Fprintf(&b, "    %s: %s\n", change.Aspect, change.line())
		}
	}
	if len(d.Settings) > 0 {
		b.WriteString("\nsettings\n")
		for _, change := range d.Settings {
			fmt.Fprintf(&b, "    %s\n", change.line())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Change) line() string {
	field := ""
	if c.Field != "" {
		field = c.Field + ": "
	}
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s%s (was not set)", field, c.New)
	case c.New == "":
		return fmt.Sprintf("%sno longer set (was %s)", field, c.Old)
	}
	return fmt.Sprintf("%s%s -> %s", field, c.Old, c.New)
}
