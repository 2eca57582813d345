package junit

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
	"prow/internal/junit"
)

const (
	// maxRows is how many tests of a list come at a time; of those with texts fewer.
	maxRows   = 1000
	maxFailed = 100
	// openRows is how many failed tests stand open from the beginning.
	openRows = 5
	// maxText is what is shown of one text, and maxTexts of all on a page together.
	maxText  = 16 << 10
	maxTexts = 1 << 20
	// maxWhole is what is shown of one text by itself.
	maxWhole = 256 << 10
	maxRuns  = 20
)

// view is a page.
type view struct {
	Problems []string
	Files    []lens.Artifact
	Sections []sectionView
	Total    int
	counts   [4]int
	budget   *budget
}

// Summary are the counts in words.
func (v *view) Summary() []word {
	var out []word
	for _, o := range order {
		if n := v.counts[o]; n > 0 {
			out = append(out, word{o.String(), plural(n, o)})
		}
	}
	return out
}

type word struct{ Class, Text string }

func (v *view) count(t found) {
	v.counts[t.Outcome()]++
	if t.AlsoFailed() {
		v.counts[junit.Failed]++
	}
}

type sectionView struct {
	Name  string
	Total int
	Lists []list
}

type list struct {
	Outcome string
	Heading string
	Count   int
	Open    bool
	Rows    []row
	// Rest is how many are not on the page, and More asks for them.
	Rest int
	More string
}

// row is a test.
type row struct {
	// ID is by which other pages lead to it.
	ID                            string
	Name, Took, Suite, File, Link string
	Open                          bool
	Runs                          []run
	// Hidden counts runs that are left out.
	Hidden int
	// Whole asks for all of its texts, where they are cut.
	Whole string
}

// Plain tells that there is nothing to open.
func (r row) Plain() bool {
	return len(r.Runs) == 0
}

type run struct {
	Number        int
	Numbered      bool
	Outcome, Took string
	Message, Text string
	Stdout        output
	Stderr        output
}

type output struct {
	Text string
	Size string
}

// budget bounds the texts of a page.
type budget struct {
	each, all int
	cut       bool
}

func newBudget() *budget { return &budget{each: maxText, all: maxTexts} }

// take keeps the beginning of a text as far as there is room. A little of each is
// always there.
func (b *budget) take(s string) string {
	n := min(b.each, max(b.all, 300))
	b.all -= min(len(s), n)
	if len(s) <= n {
		return s
	}
	b.cut = true
	return strings.ToValidUTF8(s[:n], "") + fmt.Sprintf("\n… %s more", look.Size(int64(len(s)-n)))
}

func (v *view) add(number int, s *section) {
	if s.total == 0 {
		return
	}
	if v.budget == nil {
		v.budget = newBudget()
	}
	out := sectionView{Name: s.name, Total: s.total}
	for _, o := range order {
		if len(s.lists[o]) > 0 {
			l := listOf(number, s, o, 0, v.budget)
			l.Open = (o == junit.Failed || o == junit.Flaky) && !s.collapsed
			out.Lists = append(out.Lists, l)
		}
	}
	v.Sections = append(v.Sections, out)
}

// listOf shows a part of a list.
func listOf(number int, s *section, o junit.Outcome, from int, b *budget) list {
	all := s.lists[o]
	from = min(from, len(all))
	n := maxRows
	if o == junit.Failed || o == junit.Flaky {
		n = maxFailed
	}
	n = min(n, len(all)-from)
	out := list{
		Outcome: o.String(), Count: len(all), Rest: len(all) - from - n,
		Heading: strings.ToUpper(o.String()[:1]) + o.String()[1:],
	}
	for _, t := range all[from : from+n] {
		r := rowOf(t, b)
		if o == junit.Skipped && t.AlsoFailed() { // it is in two lists
			r.ID += "-skipped"
		}
		r.Open = from == 0 && o == junit.Failed && len(all) <= openRows
		out.Rows = append(out.Rows, r)
	}
	if out.Rest > 0 {
		out.More = ask(question{Section: &number, List: o.String(), From: from + n})
	}
	return out
}

func rowOf(t found, b *budget) row {
	r := row{ID: t.id, Name: t.FullName(), Suite: t.Suite, File: t.file.Name(), Link: t.file.Link()}
	if r.Name == "" {
		r.Name = "(without a name)"
	}
	if d := t.Duration(); d >= 500*time.Millisecond {
		r.Took = look.Took(d)
	}
	b.cut = false
	for i := range t.Runs {
		one := &t.Runs[i]
		if len(t.Runs) == 1 && one.Message == "" && one.Text == "" && one.Stdout == "" && one.Stderr == "" && one.Outcome != junit.Failed {
			break // a line says it all
		}
		if i == maxRuns {
			r.Hidden = len(t.Runs) - i
			break
		}
		v := run{Number: i, Numbered: len(t.Runs) > 1, Outcome: one.Outcome.String(), Text: b.take(one.Text)}
		if one.Duration >= 500*time.Millisecond {
			v.Took = look.Took(one.Duration)
		}
		v.Message = one.Message
		if one.Kind != "" && v.Message == "" {
			v.Message = one.Kind
		}
		// Many programs repeat the message in the text.
		if strings.Contains(one.Text, v.Message) {
			v.Message = ""
		}
		v.Message = b.take(v.Message)
		v.Stdout = output{b.take(one.Stdout), look.Size(int64(len(one.Stdout)))}
		v.Stderr = output{b.take(one.Stderr), look.Size(int64(len(one.Stderr)))}
		r.Runs = append(r.Runs, v)
	}
	if b.cut {
		r.Whole = ask(question{Test: &t.number})
	}
	return r
}

func ask(q question) string {
	raw, _ := json.Marshal(q) //nolint:errchkjson // numbers and a word
	return string(raw)
}
