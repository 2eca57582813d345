package cherrypicker

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/eventserver"
	"prow/internal/forge/github"
	"prow/internal/inrepo"
	"prow/internal/plugins"
	"prow/internal/service"
)

// Options of the program.
type Options struct {
	Server eventserver.Flags
	GitHub github.Flags

	Labels                []string
	LabelPrefix           string
	UseProwAssignments    bool
	AllowAll              bool
	CreateIssueOnConflict bool
	CacheDir              string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Server.Bind(fs, Name)
	o.GitHub.Bind(fs)
	fs.StringArrayVar(&o.Labels, "labels", nil, "Label of each proposed pull request, repeatable.")
	fs.StringVar(&o.LabelPrefix, "label-prefix", "cherrypick/", "What labels begin with that ask for a branch, whose name is the rest.")
	fs.BoolVar(&o.UseProwAssignments, "use-prow-assignments", true, "Assign each proposed pull request to the one who asked for it, with the command /assign.")
	fs.BoolVar(&o.AllowAll, "allow-all", false, "Let anyone ask, not only members of the organisation.")
	fs.BoolVar(&o.CreateIssueOnConflict, "create-issue-on-conflict", false, "Open an issue for the one who asked where a pull request does not apply.")
	fs.StringVar(&o.CacheDir, "cache-dir-base", "", "Directory of git mirrors. Empty: a temporary one.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Server.Validate(), o.GitHub.Validate()}
	if o.LabelPrefix == "" {
		errs = append(errs, errors.New("--label-prefix is empty: every label would be a branch"))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Propose pull requests for other branches", "External plugin: proposes merged pull requests for other branches, as comments and labels ask for.", &Options{}, Run)
}

// Run serves until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	gh, err := o.GitHub.Client(rt.Agent(), o.Server.DryRun, rt.Secrets, rt.Log)
	if err != nil {
		return err
	}
	remotes, err := o.GitHub.GitRemotes(rt.Secrets)
	if err != nil {
		return err
	}
	mirrors, cleanUp, err := inrepo.Mirrors(Name, o.CacheDir, remotes, os.Environ())
	if err != nil {
		return err
	}
	defer cleanUp()
	inrepo.ObserveGit(rt.Metrics, mirrors)
	p := newPlugin(settings{
		labels: o.Labels, labelPrefix: o.LabelPrefix, assign: o.UseProwAssignments, allowAll: o.AllowAll, createIssueOnConflict: o.CreateIssueOnConflict,
		identity: o.GitHub.Identity,
	})
	server := &eventserver.Server{Plugin: p.describe(), Flags: &o.Server, GitHub: gh, Agent: func() *plugins.Agent { return &plugins.Agent{Git: mirrors} }}
	return server.Run(ctx, rt)
}
