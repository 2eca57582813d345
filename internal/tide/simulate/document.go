package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"prow/internal/tide/sim"
)

// docSeeds is how many seeds the figures of the documentation are over.
const docSeeds = 1

// docPlanners are the planners that the documentation has figures of.
var docPlanners = contestantNames()

const (
	tableBegins = "<!-- figures begin -->\n"
	tableEnds   = "<!-- figures end -->\n"
)

// WriteDocument plays every builtin scenario and writes the page about the simulator.
func WriteDocument(w io.Writer) error {
	var table bytes.Buffer
	if err := play(&table, &options{planners: docPlanners, seeds: docSeeds, seed: 1, builtin: true, output: "markdown"}, nil); err != nil {
		return err
	}
	return document(w, table.String())
}

// document writes the page around a table of figures.
func document(w io.Writer, table string) error {
	scenarios, err := builtin(nil)
	if err != nil {
		return err
	}
	slices.SortFunc(scenarios, func(a, b sim.Scenario) int { return strings.Compare(a.Name, b.Name) })
	var list strings.Builder
	for _, sc := range scenarios {
		fmt.Fprintf(&list, "- **%s**: %s\n", sc.Name, sc.About)
	}
	limit, err := limits(scenarios)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, page, list.String(), docSeeds, strings.Join(docPlanners, ", "), tableBegins, table, tableEnds, limit)
	return err
}

// limits says what no planner can do in the scenario with jobs of an hour.
func limits(scenarios []sim.Scenario) (string, error) {
	i := slices.IndexFunc(scenarios, func(sc sim.Scenario) bool { return sc.Name == "sixty-minute jobs" })
	if i < 0 {
		return "", errors.New("there is no scenario of sixty-minute jobs")
	}
	d := demandOf(&scenarios[i], time.Hour)
	var rows strings.Builder
	for _, minutes := range []int{60, 75, 90, 93, 105, 120} {
		fmt.Fprintf(&rows, "| %d minutes | %.0f%% |\n", minutes, 100*d.inTime(time.Duration(minutes)*time.Minute))
	}
	return fmt.Sprintf(limitPage, 100*d.bad, rows.String(), d.least(0.95).Minutes(), d.runs), nil
}

const page = `<!-- Written by "make simulate". -->
# Simulating the merge queue

How long does a pull request wait, how many test runs does the queue need, and what happens when everything goes wrong at once?
` + "`prow tide simulate`" + ` answers that in seconds: it plays a branch with its pull requests, tests and people in virtual time,
with the very planner and executor that tide runs.

` + "```" + `
prow tide simulate --builtin                                  all scenarios below
prow tide simulate --builtin quiet-repository --seeds 5       one of them, five times
prow tide simulate ours.yaml --planner classic --hours 48     your own
` + "```" + `

The command fails if anything was merged that had not been proven; it says what, in which scenario and with which seed. Equal
scenarios and seeds give equal figures.

## Scenarios

%s
A scenario is a YAML file; ` + "`internal/tide/sim/scenarios`" + ` has these as examples. Every field that is not given has a sensible
default; a mistake is told with file, line and field. Batches are limited to five pull requests here, which is about the best that
planning without speculation can do where some fail.

` + "```yaml" + `
name: ours
hours: 72                          # how long pull requests come; warmup of them do not count
arrivals: {per_hour: 12}           # or burst, burst_after, burst_every; or recorded: ours.jsonl
pulls:
  broken: 3%%                       # fail by themselves
  pairs: 10%%                       # fail together with another one that waits
  conflicts: 5%%                    # do not merge with another one that waits
  dependent: 5%%                    # need another one that waits
  pushes: 10%%                      # get another commit while they wait
ci:
  capacity: 40                     # runs at once
  flakes: 2%%                       # runs that fail for no reason
  contexts:
  - name: e2e
    takes: lognormal 50m 0.2       # or 50m, or uniform 40m 60m
    fails_after: 30%%               # of that, where it fails
tide: {batch_limit: 5}
people: {fix: lognormal 2h 0.7}    # how long it takes to repair what was rejected
faults: {api: 1%%, crashes: 1%%}     # calls that fail, and calls around which tide is killed
` + "```" + `

### Your own history

Tide keeps a history of what it did (` + "`--history-uri`" + `, and ` + "`/history`" + ` of its port). It becomes recorded arrivals, one JSON object a line
with ` + "`time`, `number` and `outcome`" + ` (` + "`merged`, `open` or `abandoned`" + `; abandoned ones are played as broken):

` + "```" + `
prow tide simulate --from-history history.json --pool org/repo:main > ours.jsonl
` + "```" + `

Name that file in ` + "`arrivals.recorded`" + `, and say in the scenario what your tests are like.

## Figures

With %d seed of each scenario (` + "`make simulate`" + ` plays them and writes this page), planner %s:

%s%s%s
- **merges/h** is after the warm-up, while pull requests come. **p50** and **p95** are from entering the pool, with the head that
  is merged, until the merge. What is never merged counts with its age.
- **oracle** is one who knows the end of every test. On the same machines it tests each pull request that will be merged once,
  together with all before it. Where machines are scarce batches can be better than that, and so are results that a pull request
  brings along.
- **waste** is the share of runs whose result was neither part of the proof of a merge nor of a rejection.
- **rejected** pull requests are told to be broken; **falsely** is the share of all pull requests for which that was wrong.
  Without speculation a single test that fails by chance puts a pull request out of the pool until someone asks for another.
- **stuck** ones are good and still waited four days after the last one came, with nobody pushing and nothing failing by chance.
- **untold** ones are broken, and nobody had been told so by then.
- **green** is the share of time in which the branch itself passed. Only pushes of others can lower it.
- **untested** is how often others of a batch were merged after one was refused, so that the branch got a combination that nobody
  tested. That is how batches without speculation have always been merged.
- **calls** are those to forge and cluster that carry out plans; **crashes** how often the automation was killed between two.
- **violations** must be none: a merge without a passing run of every required job on exactly the tree that it leaves behind, of a
  head that is not in the pool, twice, or into a blocked branch. The simulator judges that by its own knowledge of every tree.
%s`

const limitPage = `
## What no planner can do

The oracle knows who is bad before anything runs. A planner that merges only what has passed as it will be on the branch has to find
out first, and where a run takes an hour that takes its time. In *sixty-minute jobs* %.1f%% are bad: broken by themselves, or the later
one of a pair. Counted like that, no planner merges more than this share of the good ones within a time:

| within | merged at most |
|---|---:|
%s
So with the machines of that scenario p95 is at least %.0f minutes. Half as long again as the oracle, which is 93, cannot be had.

Why: look, at any moment, at those that came in the last hour and have to be in a run by now if they are to be merged in time. No run
that holds any of them is over, so whom of them these runs hold was chosen blindly. All of these runs are going on, so there are
at most %d of them. The last one to be merged in time is proven by one of these runs, which holds all that were merged before it.
So the best that can be done is to choose so many subsets in advance, each leaving out some, and to merge the largest that holds
nobody bad and does not fail by chance. Subsets that leave out few are right in few cases.

The limit is generous: it gives all machines to those few, and takes it that two subsets are never right in the same case. It
supposes that of a pair the later one is left out. A planner might leave out the earlier one, but somebody waits for that as well.
`
