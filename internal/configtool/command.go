package configtool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/service"
)

// Name of the component.
const Name = "config"

// Command is the program: one subcommand for each question.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use: Name, Short: "Explain the configuration, or what a change of it means", SilenceUsage: true, SilenceErrors: true,
		Long: "Answers questions about a configuration on disk. It talks to no cluster and to no forge.",
	}
	cmd.AddCommand(explainCommand(), diffCommand())
	return cmd
}

// output is the form of an answer.
type output string

func (o *output) bind(fs *pflag.FlagSet) {
	*o = "text"
	fs.StringVarP((*string)(o), "output", "o", "text", "Form of the answer: text or json.")
}

func (o output) validate() error {
	if o != "text" && o != "json" {
		return fmt.Errorf("--output is %q, expected text or json", string(o))
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func explainCommand() *cobra.Command {
	var opts config.Options
	var form output
	var repo string
	cmd := &cobra.Command{
		Use: "explain JOB|KEY...", Short: "Print effective values, and where each part of them comes from",
		Long: `Prints the effective value of jobs, or of keys of the main configuration, as YAML. A comment behind
each value tells where it comes from: file and line, a preset, an entry of the defaults, or the
program itself ("default").`,
		Example: `  prow config explain pull-test-infra-unit --config-path=config.yaml --job-config-path=jobs
  prow config explain plank.pod_pending_timeout 'tide.queries[0]' --config-path=config.yaml`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &service.UsageError{Err: errors.New("name a job, or a key such as plank.pod_pending_timeout")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(opts.Validate(), form.validate()); err != nil {
				return &service.UsageError{Err: err}
			}
			c, err := config.Load(cmd.Context(), opts)
			if err != nil {
				return err
			}
			e, err := NewExplainer(c, opts)
			if err != nil {
				return err
			}
			var all []*Explanation
			for _, what := range args {
				list, err := e.Explain(what, repo)
				if err != nil {
					return err
				}
				all = append(all, list...)
			}
			if form == "json" {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			for i, x := range all {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "---")
				}
				if err := x.Print(cmd.OutOrStdout()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	opts.Bind(cmd.Flags())
	form.bind(cmd.Flags())
	cmd.Flags().StringVar(&repo, "repo", "", "Only jobs of this repository (org/repo).")
	return cmd
}
