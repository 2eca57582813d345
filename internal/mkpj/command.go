package mkpj

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/secret"
	"prow/internal/service"
)

// Name of the program.
const Name = "mkpj"

// Options are the flags.
type Options struct {
	Config     config.Options
	Kubernetes kube.Flags
	GitHub     github.Flags

	// Job is the name of the job.
	Job string
	// Repo is "org/repo"; it chooses among repositories with a job of this name.
	Repo    string
	BaseRef string
	BaseSHA string
	// PullNumber and the following describe the pull request of a presubmit.
	PullNumber  int
	PullSHA     string
	PullAuthor  string
	PullHeadRef string
	// TriggerJob creates the ProwJob and waits for its end.
	TriggerJob bool
	// FailWithJob makes the program fail if the triggered job does.
	FailWithJob bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.Bind(fs)
	fs.StringVar(&o.Job, "job", "", "Name of the job. Required.")
	fs.StringVar(&o.Repo, "repo", "", "Repository (org/repo) of the job, where several have a job of this name. Default: the first by name.")
	fs.StringVar(&o.BaseRef, "base-ref", "", "Branch to test against. Default: that of the pull request, else asked for.")
	fs.StringVar(&o.BaseSHA, "base-sha", "", "Commit of the branch. Default: the base of the pull request, else the head of the branch.")
	fs.IntVar(&o.PullNumber, "pull-number", 0, "Number of the pull request. Default for presubmits: asked for.")
	fs.StringVar(&o.PullSHA, "pull-sha", "", "Head commit of the pull request. Default: asked of the code host.")
	fs.StringVar(&o.PullAuthor, "pull-author", "", "Author of the pull request. Default: asked of the code host.")
	fs.StringVar(&o.PullHeadRef, "pull-head-ref", "", "Head branch of the pull request.")
	fs.BoolVar(&o.TriggerJob, "trigger-job", false, "Create the ProwJob in the cluster, wait for its end, and print its status.")
	fs.BoolVar(&o.FailWithJob, "fail-with-job", false, "With --trigger-job: fail if the job does not end in success.")
}

// Validate reports all problems at once. Kubernetes matters only for running the job.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.GitHub.Validate()}
	if o.Job == "" {
		errs = append(errs, errors.New("--job is required"))
	}
	if o.Repo != "" && strings.Count(o.Repo, "/") != 1 {
		errs = append(errs, fmt.Errorf("--repo=%s: it should be org/repo", o.Repo))
	}
	if o.PullNumber < 0 {
		errs = append(errs, fmt.Errorf("--pull-number=%d: it should be positive", o.PullNumber))
	}
	if o.TriggerJob {
		errs = append(errs, o.Kubernetes.Validate())
	}
	return errors.Join(errs...)
}

// Streams are what the program reads and writes.
type Streams struct {
	// In answers the questions that are put to Err; Out receives the result.
	In       io.Reader
	Out, Err io.Writer
}

// Command is the program.
func Command() *cobra.Command {
	o := &Options{}
	cmd := &cobra.Command{
		Use:   Name,
		Short: "Make a ProwJob from the configuration",
		Long: "Prints the ProwJob of a configured job as YAML, or runs it with --trigger-job. What flags leave out about the code under test\n" +
			"is asked of the code host, then of you; questions go to standard error. Jobs that repositories bring themselves are not considered.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return Run(ctx, o, Streams{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()})
		},
	}
	o.Bind(cmd.Flags())
	return cmd
}

// Run makes the ProwJob and prints it, or runs it and prints its status.
func Run(ctx context.Context, o *Options, streams Streams) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("bad options: %w", err)
	}
	secrets := new(secret.Store)
	log := service.NewLogger(streams.Err, slog.LevelInfo, secrets).With("component", Name)
	cfg, err := config.Load(ctx, o.Config)
	if err != nil {
		return err
	}
	m := &maker{
		options: o, config: cfg, ask: newPrompter(streams), log: log, now: time.Now,
		// Made only when something has to be asked: without that, neither credentials nor a network are needed.
		github: func() (forge, error) {
			quiet := slog.New(slog.DiscardHandler) // anonymous access is fine here
			return o.GitHub.Client(Name+"/"+service.Version(), true, secrets, quiet)
		},
	}
	pj, err := m.prowJob(ctx)
	if err != nil {
		return err
	}
	if !o.TriggerJob {
		return print(streams.Out, pj)
	}
	clusters, err := o.Kubernetes.Load(Name+"/"+service.Version(), cfg.DisabledClusters)
	if err != nil {
		return err
	}
	status, err := runJob(ctx, clusters.Service(), cfg.ProwJobNamespace, pj, log)
	if err != nil {
		return err
	}
	if err := print(streams.Out, status); err != nil {
		return err
	}
	if o.FailWithJob && status.State != v1.SuccessState {
		return fmt.Errorf("job %s ended in state %s", o.Job, status.State)
	}
	return nil
}

func print(w io.Writer, v any) error {
	out, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %T as YAML: %w", v, err)
	}
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}
