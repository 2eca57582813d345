package simulate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prow/internal/tide/history"
	"prow/internal/tide/planner"
	"prow/internal/tide/sim"
)

// How a recorded pull request ended.
const (
	// endMerged ones were merged, endOpen ones still waited at the end of the record,
	// endAbandoned ones had not been seen for long by then.
	endMerged    = "merged"
	endOpen      = "open"
	endAbandoned = "abandoned"
)

// abandonedAfter is how long one must not have been seen.
const abandonedAfter = 24 * time.Hour

// recorded is a line of a file of recorded arrivals.
type recorded struct {
	// Time is when the pull request was first seen in the pool.
	Time    time.Time  `json:"time"`
	Number  int        `json:"number"`
	Outcome string     `json:"outcome"`
	Merged  *time.Time `json:"merged,omitempty"`
	// Heads is how many commits of it were seen.
	Heads  int      `json:"heads,omitempty"`
	Labels []string `json:"labels,omitempty"`
}

// arrivals reads recorded arrivals, JSON objects one after the other. Abandoned ones are
// played as broken.
func arrivals(file string, content []byte) ([]sim.Arrival, error) {
	var lines []recorded
	for n, text := range bytes.Split(content, []byte("\n")) {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var r recorded
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err := d.Decode(&r)
		if err == nil {
			if _, more := d.Token(); more != io.EOF {
				err = fmt.Errorf("expected one object a line")
			}
		}
		switch {
		case err != nil:
		case r.Time.IsZero():
			err = fmt.Errorf("time: expected one")
		case !slices.Contains([]string{endMerged, endOpen, endAbandoned}, r.Outcome):
			err = fmt.Errorf("outcome: %q: expected %s, %s or %s", r.Outcome, endMerged, endOpen, endAbandoned)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n+1, err)
		}
		lines = append(lines, r)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: there are no arrivals", file)
	}
	slices.SortStableFunc(lines, func(a, b recorded) int { return a.Time.Compare(b.Time) })
	out := make([]sim.Arrival, len(lines))
	for i, r := range lines {
		out[i] = sim.Arrival{At: r.Time.Sub(lines[0].Time), Broken: r.Outcome == endAbandoned, Labels: r.Labels}
	}
	return out, nil
}

// mergedOfBatch finds in the error of a batch which members were merged, for
// histories that do not say so otherwise.
var mergedOfBatch = regexp.MustCompile(`merged \[([0-9 ]*)\]`)

// convert turns a history of the merge automation into recorded arrivals of a pool.
func convert(w io.Writer, content []byte, pool string) error {
	all := map[string][]history.Record{}
	if err := json.Unmarshal(content, &all); err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	pools := slices.Sorted(maps.Keys(all))
	if pool == "" && len(pools) == 1 {
		pool = pools[0]
	}
	records, ok := all[pool]
	if !ok || len(records) == 0 {
		return fmt.Errorf("the history has no record of %q: give --pool one of %s", pool, strings.Join(pools, ", "))
	}
	slices.SortStableFunc(records, func(a, b history.Record) int { return a.Time.Compare(b.Time) })
	seen := map[int]*recorded{}
	last := map[int]time.Time{}
	heads := map[int]map[string]bool{}
	for i := range records {
		r := &records[i]
		merged := mergedIn(r)
		for _, p := range r.Target {
			e := seen[p.Number]
			if e == nil {
				e = &recorded{Time: r.Time, Number: p.Number, Outcome: endOpen}
				seen[p.Number], heads[p.Number] = e, map[string]bool{}
			}
			heads[p.Number][p.SHA] = true
			e.Heads = len(heads[p.Number])
			last[p.Number] = r.Time
			if e.Merged, e.Outcome = nil, endOpen; merged[p.Number] {
				at := r.Time
				e.Merged, e.Outcome = &at, endMerged
			}
		}
	}
	end := records[len(records)-1].Time
	out := json.NewEncoder(w)
	for _, e := range slices.SortedFunc(maps.Values(seen), func(a, b *recorded) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Number, b.Number))
	}) {
		if e.Outcome == endOpen && end.Sub(last[e.Number]) > abandonedAfter {
			e.Outcome = endAbandoned
		}
		if err := out.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// mergedIn are the pull requests that a record tells were merged.
func mergedIn(r *history.Record) map[int]bool {
	out := map[int]bool{}
	if r.Action != string(planner.Merge) && r.Action != string(planner.MergeBatch) {
		return out
	}
	if len(r.Merged) > 0 {
		for _, n := range r.Merged {
			out[n] = true
		}
		return out
	}
	if r.Err != "" {
		if m := mergedOfBatch.FindStringSubmatch(r.Err); m != nil {
			for _, word := range strings.Fields(m[1]) {
				n, _ := strconv.Atoi(word) // digits by the pattern
				out[n] = true
			}
		}
		return out
	}
	for _, p := range r.Target {
		out[p.Number] = true
	}
	return out
}
