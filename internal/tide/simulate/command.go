package simulate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"prow/internal/tide/sim"
)

func contestantNames() []string {
	names := make([]string, len(sim.Contestants))
	for i, c := range sim.Contestants {
		names[i] = c.Name
	}
	return names
}

func chosen(names []string) ([]sim.Contestant, error) {
	var out []sim.Contestant
	for _, name := range names {
		i := slices.IndexFunc(sim.Contestants, func(c sim.Contestant) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--planner=%s: expected some of %s", name, strings.Join(contestantNames(), ", "))
		}
		out = append(out, sim.Contestants[i])
	}
	return out, nil
}

type options struct {
	planners    []string
	seeds       int
	seed        uint64
	hours       float64
	builtin     bool
	output      string
	fromHistory string
	pool        string
}

// Command is the simulator.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "simulate [FILE...]",
		Short: "Play scenarios with planners of the merge automation, and compare them",
		Long: `Plays a branch with its pull requests, tests and people in virtual time, and prints how planners fare: merges an hour,
how long pull requests take, how many runs are wasted, and whether anything unproven was merged.

Each FILE is a scenario; with --builtin the names of scenarios that come with the program, or none for all of them.
With --from-history the history of a real merge automation becomes a file of recorded arrivals, which a scenario can name.

  prow tide simulate --builtin
  prow tide simulate --builtin quiet-repository --planner classic --seeds 5
  prow tide simulate ours.yaml
  prow tide simulate --from-history history.json --pool org/repo:main > ours.jsonl`,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.fromHistory != "" {
				return fromHistory(cmd.OutOrStdout(), o.fromHistory, o.pool)
			}
			return play(cmd.OutOrStdout(), &o, args)
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&o.planners, "planner", contestantNames(), "Planners to play with.")
	fs.IntVar(&o.seeds, "seeds", 1, "How often each scenario is played, with another seed each time; figures are over all of them.")
	fs.Uint64Var(&o.seed, "seed", 1, "The first seed.")
	fs.Float64Var(&o.hours, "hours", 0, "Hours that pull requests come, rather than what the scenario says.")
	fs.BoolVar(&o.builtin, "builtin", false, "Play scenarios that come with the program.")
	fs.StringVar(&o.output, "output", "table", "How reports are printed: table, markdown or json.")
	fs.StringVar(&o.fromHistory, "from-history", "", "File with a history of the merge automation (--history-uri, or /history) to be turned into recorded arrivals.")
	fs.StringVar(&o.pool, "pool", "", "Pool of the history, as org/repo:branch; not needed if there is one.")
	return cmd
}

func fromHistory(w io.Writer, file, pool string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return convert(w, content, pool)
}

// scenarios reads what is to be played.
func (o *options) scenarios(args []string) ([]sim.Scenario, error) {
	if o.builtin {
		return builtin(args)
	}
	if len(args) == 0 {
		return nil, errors.New("expected files of scenarios, or --builtin")
	}
	var out []sim.Scenario
	var errs []error
	for _, file := range args {
		sc, err := loadFile(file)
		out, errs = append(out, sc), append(errs, err)
	}
	return out, errors.Join(errs...)
}

// play plays every scenario with every planner. What breaks an invariant is an
// error, after everything was printed.
func play(w io.Writer, o *options, args []string) error {
	who, err := chosen(o.planners)
	if err != nil {
		return err
	}
	if o.seeds < 1 {
		return fmt.Errorf("--seeds=%d: expected at least 1", o.seeds)
	}
	write := map[string]func(io.Writer, []sim.Row) error{"table": sim.WriteTable, "markdown": sim.WriteMarkdown, "json": writeJSON}[o.output]
	if write == nil {
		return fmt.Errorf("--output=%s: expected table, markdown or json", o.output)
	}
	scenarios, err := o.scenarios(args)
	if err != nil {
		return err
	}
	rows := make([]sim.Row, len(scenarios)*len(who))
	broken := make([][]error, len(rows))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, sc := range scenarios {
		if o.hours > 0 {
			sc.Hours = o.hours
		}
		for k, c := range who {
			at := i*len(who) + k
			group.Go(func() error {
				var err error
				rows[at], broken[at], err = playOne(sc, c, o)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := write(w, rows); err != nil {
		return err
	}
	return errors.Join(slices.Concat(broken...)...)
}

// playOne plays a scenario with all seeds.
func playOne(sc sim.Scenario, c sim.Contestant, o *options) (row sim.Row, broken []error, err error) {
	var reports []sim.Report
	for n := range o.seeds {
		sc.Seed, sc.Compatible = o.seed+uint64(n), c.Compatible
		r, err := sim.Run(sc, c.Plan)
		if err != nil {
			return row, nil, err
		}
		for _, v := range r.Violations {
			broken = append(broken, fmt.Errorf("%s, %s, seed %d: %s", sc.Name, c.Name, sc.Seed, v))
		}
		if r.Runaway {
			broken = append(broken, fmt.Errorf("%s, %s, seed %d: it starts tests without end: broken off after %d runs", sc.Name, c.Name, sc.Seed, r.Runs))
		}
		reports = append(reports, r)
	}
	return sim.Row{Planner: c.Name, Report: sim.Sum(reports)}, broken, nil
}

func writeJSON(w io.Writer, rows []sim.Row) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(rows)
}
