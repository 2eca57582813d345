package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prow/internal/tide/planner"
)

// Stories are told in files. A line holds commands separated by semicolons; what
// comes before the first == begins every story of the file. CI is by hand: runs end
// by pass, fail and flake, or by run, which ends them by the truth.
//
//	== a batch that passed is merged
//	pr 1; pr 2
//	tick; expect running 1,2 1
//	pass 1,2; tick; expect merged 1 2
//
// At the end of every story nothing may have been merged that was not proven, and
// the executor must not have had to refuse anything.

// minStories is how many there are at least.
const minStories = 200

func TestStories(t *testing.T) {
	files, err := filepath.Glob("stories/*.story")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range split(string(content)) {
			told++
			t.Run(strings.TrimSuffix(filepath.Base(file), ".story")+"/"+st.name, func(t *testing.T) {
				tell(t, file, st)
			})
		}
	}
	if told < minStories {
		t.Errorf("there are only %d stories", told)
	}
}

type line struct {
	number int
	text   string
}

type story struct {
	name  string
	lines []line
}

func split(content string) []story {
	var common []line
	var out []story
	for i, text := range strings.Split(content, "\n") {
		text, _, _ = strings.Cut(text, "#")
		text = strings.TrimSpace(text)
		if name, ok := strings.CutPrefix(text, "== "); ok {
			out = append(out, story{name: name, lines: slices.Clone(common)})
			continue
		}
		for command := range strings.SplitSeq(text, ";") {
			l := line{i + 1, strings.TrimSpace(command)}
			switch {
			case l.text == "":
			case len(out) == 0:
				common = append(common, l)
			default:
				last := &out[len(out)-1]
				last.lines = append(last.lines, l)
			}
		}
	}
	return out
}

// teller tells one story.
type teller struct {
	*simulation
	began bool
	// once is what the next round meets at a call.
	once func(name string) (die, fail, late bool)
	// trialsBefore is how many trials there were before the last round.
	trialsBefore int
	allowed      map[string]bool
}

func tell(t *testing.T, file string, st story) {
	sc := Scenario{Name: st.name, Hours: 1e3, CI: CI{Contexts: []Context{{Name: "test", Takes: Always(time.Hour)}}}}
	sc.Arrivals.PerHour = 1
	long := Always(1e4 * time.Hour)
	sc.People = People{Fix: long, Retest: long, Rebase: long, Return: long}
	sc.CI.Sinker = Span(1e4 * time.Hour)
	s := &teller{simulation: start(sc, planner.Classic), allowed: map[string]bool{}}
	s.sc.Compatible = true
	s.byHand = true
	s.onCall = func(name string) (die, fail, late bool) {
		if s.once != nil {
			return s.once(name)
		}
		return false, false, false
	}
	if err := s.tell(file, st); err != nil {
		t.Fatal(err)
	}
}

// tell returns how the story fails.
func (s *teller) tell(file string, st story) error {
	for _, l := range st.lines {
		if err := s.command(strings.Fields(l.text)); err != nil {
			return fmt.Errorf("%s:%d: %s: %w\n%s", file, l.number, l.text, err, s.describe())
		}
	}
	switch {
	case s.report.Violated > 0:
		return fmt.Errorf("%s: %s", file, strings.Join(s.report.Violations, "\n"))
	case s.report.Unchecked > 0 && !s.allowed["refused-proposals"]:
		return fmt.Errorf("%s: the executor refused %s", file, strings.Join(s.report.Complaints, "\n"))
	case s.report.Untested > 0 && !s.allowed["untested"]:
		return fmt.Errorf("%s: untested combinations were merged", file)
	}
	return nil
}

// describe says where a story stands.
func (s *teller) describe() string {
	var b strings.Builder
	a := &s.outcome.Action
	fmt.Fprintf(&b, "the last action is %s (%s) of %s: %s\n", a.Kind, a.Code, shown(a.Targets), a.Sentence)
	fmt.Fprintf(&b, "merged: %s; running: %s; error: %v\n", shown(s.merged), s.running(0), s.outcome.Err)
	for i := range s.snap.Pulls {
		n := s.snap.Pulls[i].Number
		if r, ok := s.outcome.Plan.Reasons[n]; ok {
			fmt.Fprintf(&b, "#%d: %s: %s\n", n, r.Code, r.Sentence)
		}
	}
	return b.String()
}

func shown(heads []planner.Head) string {
	words := make([]string, len(heads))
	for i, h := range heads {
		words[i] = strconv.Itoa(h.Number)
	}
	return strings.Join(words, " ")
}

// running lists the trials that are going on from one on: their pull requests, and
// the contexts unless that are all.
func (s *teller) running(from int) string {
	var out []string
	for _, t := range s.trials {
		id, _ := strconv.Atoi(t.id[1:])
		if t.live == 0 || id <= from {
			continue
		}
		var contexts []string
		for _, j := range t.jobs {
			if !j.over {
				contexts = append(contexts, s.sc.CI.Contexts[j.context].Name)
			}
		}
		text := strings.ReplaceAll(shown(t.heads), " ", ",")
		if len(contexts) < len(t.names) {
			text += "@" + strings.Join(contexts, "+")
		}
		out = append(out, text)
	}
	slices.Sort(out)
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, " ")
}

func (s *teller) pull(word string) (*pull, error) {
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 || n > len(s.pulls) || s.pulls[n-1] == nil {
		return nil, fmt.Errorf("%q is no pull request of the story", word)
	}
	return s.pulls[n-1], nil
}

// jobsOf finds the runs of the newest trial of these pull requests that are going on.
func (s *teller) jobsOf(word string, contexts []string) ([]*job, error) {
	for _, t := range slices.Backward(s.trials) {
		if strings.ReplaceAll(shown(t.heads), " ", ",") != word || t.live == 0 {
			continue
		}
		var out []*job
		for _, j := range t.jobs {
			if !j.over && (len(contexts) == 0 || slices.Contains(contexts, s.sc.CI.Contexts[j.context].Name)) {
				out = append(out, j)
			}
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("%s does not run", contexts)
		}
		return out, nil
	}
	return nil, fmt.Errorf("no run of it is going on")
}

// begins ends the set-up: the budget is that of the machines unless it is given.
func (s *teller) begins() {
	if !s.began {
		s.began = true
		if s.sc.Tide.MaxRuns == 0 {
			s.sc.Tide.MaxRuns = s.sc.CI.Capacity
		}
	}
}
