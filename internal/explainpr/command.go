package explainpr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/inrepo"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/secret"
	"prow/internal/service"
)

// Name of the program.
const Name = "explain-pr"

// Options of the program.
type Options struct {
	Config  config.Options
	Plugins pluginconfig.Options
	GitHub  github.Flags
	Output  string
	// TideURL is where Tide's pools are; empty where it cannot be reached.
	TideURL string
	// All shows plugins that have nothing to say.
	All bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Plugins.Path = "/etc/plugins/plugins.yaml"
	o.Plugins.Bind(fs)
	o.GitHub.Bind(fs)
	fs.StringVarP(&o.Output, "output", "o", "text", "Form of the answer: text or json.")
	fs.StringVar(&o.TideURL, "tide-url", "", "URL of Tide's pools, which say more than the status of the pull request. Empty: the status counts.")
	fs.BoolVar(&o.All, "all", false, "Show plugins that have nothing to say, too.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.GitHub.Validate()}
	if o.Output != "text" && o.Output != "json" {
		errs = append(errs, fmt.Errorf("--output=%s is neither text nor json", o.Output))
	}
	return errors.Join(errs...)
}

var pullRe = regexp.MustCompile(`^([\w.-]+)/([\w.-]+)#([1-9]\d{0,9})$`)

// ParsePull reads org/repo#number.
func ParsePull(s string) (org, repo string, number int, err error) {
	m := pullRe.FindStringSubmatch(s)
	if m == nil {
		return "", "", 0, fmt.Errorf("%q is not of the form org/repo#number", s)
	}
	number, err = strconv.Atoi(m[3])
	return m[1], m[2], number, err
}

// Command is the program. known are the plugins of hook, external those of other programs.
func Command(known, external map[string]*plugins.Plugin) *cobra.Command {
	o := &Options{}
	cmd := &cobra.Command{
		Use: Name + " ORG/REPO#NUMBER", Short: "Say what plugins and Tide make of a pull request",
		Long:         "Says what every plugin that the repository enables, and Tide, make of a pull request now, and why it does not merge. It reads the configuration files and asks GitHub; it changes nothing.",
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			org, repo, number, err := ParsePull(args[0])
			if err := errors.Join(err, o.Validate()); err != nil {
				return &service.UsageError{Err: err}
			}
			return run(cmd.Context(), o, known, external, org, repo, number, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.Bind(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &service.UsageError{Err: err} })
	return cmd
}

func run(ctx context.Context, o *Options, known, external map[string]*plugins.Plugin, org, repo string, number int, out, errOut io.Writer) error {
	cfg, err := config.Load(ctx, o.Config)
	if err != nil {
		return err
	}
	pc, err := pluginconfig.Load(ctx, o.Plugins)
	if err != nil {
		return err
	}
	secrets := new(secret.Store)
	log := service.NewLogger(errOut, slog.LevelWarn, secrets)
	gh, err := o.GitHub.Client(Name+"/"+service.Version(), true, secrets, log)
	if err != nil {
		return err
	}
	remotes, err := o.GitHub.GitRemotes(secrets)
	if err != nil {
		return err
	}
	mirrors, cleanUp, err := inrepo.Mirrors(Name, "", remotes, os.Environ())
	if err != nil {
		return err
	}
	defer cleanUp()
	cache := owners.NewCache(func(ctx context.Context, org, repo, commit string, read func(owners.Tree) error) error {
		return mirrors.Files(ctx, org, repo, commit, func(m *git.Mirror) error { return read(m) })
	})
	inRepo := config.NewInRepo(inrepo.Trees{Cache: mirrors}, config.InRepoOptions{})
	x := &explainer{forge: gh, config: cfg, plugins: pc, known: known, external: external, agent: func(plugin string) *plugins.Agent {
		mine := gh.For(plugin)
		return &plugins.Agent{
			GitHub: mine, Git: mirrors, InRepo: inRepo, Config: cfg, Plugins: pc, Delivery: Name, Now: time.Now, Log: log.With("plugin", plugin),
			Owners: &owners.Client{Cache: cache, Forge: mine, Settings: plugins.OwnersSettings(cfg, pc), Log: log},
		}
	}}
	if o.TideURL != "" {
		x.ask = func(ctx context.Context, org, repo, head string, number int) (*Reason, error) {
			return askTide(ctx, o.TideURL, org, repo, head, number)
		}
	}
	report, err := x.explain(github.ShareReads(ctx), org, repo, number)
	if err != nil {
		return err
	}
	if o.Output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	_, err = io.WriteString(out, text(report, o.All))
	return err
}

// text is the report for people.
func text(r *Report, all bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s#%d %s\n%s, by %s, to %s at %.12s\n", r.Org, r.Repo, r.Number, r.Title, r.State, r.Author, r.Base, r.Head)
	fmt.Fprintf(&b, "labels: %s\n", strings.Join(r.Labels, ", "))
	section := func(s *Section) {
		if !all && len(s.Says) == 0 && s.Error == "" {
			return
		}
		name := s.Name
		if s.External {
			name += " (external)"
		}
		fmt.Fprintf(&b, "\n%s\n", name)
		for _, e := range s.Says {
			mark := " "
			if e.Waits {
				mark = "!"
			}
			fmt.Fprintf(&b, "  %s %s\n", mark, e.Text)
		}
		if s.Error != "" {
			fmt.Fprintf(&b, "  ? %s\n", s.Error)
		}
	}
	section(&r.Tide)
	for i := range r.Plugins {
		section(&r.Plugins[i])
	}
	return b.String()
}
