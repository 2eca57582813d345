package history

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	v1 "prow/api/prowjobs/v1"
)

func upTo(n uint64) (out []uint64) {
	for i := uint64(1); i <= n; i++ {
		out = append(out, i*10)
	}
	return out
}

func TestProbe32Pages(t *testing.T) {
	for name, test := range map[string]struct {
		ids           []uint64
		start, latest uint64
		want          Page
		first, last   uint64
	}{
		"the newest":             {upTo(45), 450, 450, Page{HasOlder: true, Older: "250", First: 1, Total: 45}, 450, 260},
		"the next":               {upTo(45), 250, 450, Page{HasOlder: true, Older: "50", HasNewer: true, Newer: "450", Latest: true, First: 21, Total: 45}, 250, 60},
		"the last":               {upTo(45), 50, 450, Page{HasNewer: true, Newer: "250", Latest: true, First: 41, Total: 45}, 50, 10},
		"one between":            {upTo(45), 255, 450, Page{HasOlder: true, Older: "50", HasNewer: true, Newer: "450", Latest: true, First: 21, Total: 45}, 250, 60},
		"less than a page newer": {upTo(45), 440, 450, Page{HasOlder: true, Older: "240", HasNewer: true, Latest: true, First: 2, Total: 45}, 440, 250},
		"twice":                  {append(upTo(3), upTo(3)...), 30, 30, Page{First: 1, Total: 3}, 30, 10},
		"none":                   {nil, 30, 30, Page{First: 1}, 0, 0},
		"all newer":              {upTo(3), 5, 30, Page{HasNewer: true, Latest: true, First: 4, Total: 3}, 0, 0},
		"big":                    {[]uint64{math.MaxUint64, 1}, math.MaxUint64, math.MaxUint64, Page{First: 1, Total: 2}, math.MaxUint64, 1},
	} {
		got := PageOf(test.ids, test.start, test.latest, 20)
		var first, last uint64
		if len(got.IDs) > 0 {
			first, last = got.IDs[0], got.IDs[len(got.IDs)-1]
		}
		got.IDs = nil
		if got.Older != test.want.Older || got.Newer != test.want.Newer || got.HasOlder != test.want.HasOlder || got.HasNewer != test.want.HasNewer || got.Latest != test.want.Latest || got.First != test.want.First || got.Total != test.want.Total || first != test.first || last != test.last {
			t.Errorf("%s: %+v from %d to %d", name, got, first, last)
		}
	}
}

func TestEveryBuildIsOnOnePage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 500), 1, 100, rapid.ID).Draw(t, "ids")
		var latest uint64
		for _, id := range ids {
			latest = max(latest, id)
		}
		seen := map[uint64]int{}
		page := PageOf(ids, latest, latest, 20)
		for {
			for _, id := range page.IDs {
				seen[id]++
			}
			if !page.HasOlder {
				break
			}
			var next uint64
			for _, c := range page.Older {
				next = next*10 + uint64(c-'0')
			}
			page = PageOf(ids, next, latest, 20)
		}
		for _, id := range ids {
			if seen[id] != 1 {
				t.Fatalf("%d is on %d pages", id, seen[id])
			}
		}
	})
}

func TestRateAndChart(t *testing.T) {
	builds := []Build{
		{ID: 4, State: v1.PendingState, Duration: time.Hour}, {ID: 3, State: v1.SuccessState, Duration: 30 * time.Minute},
		{ID: 2, State: v1.FailureState, Duration: time.Minute}, {ID: 1, State: v1.AbortedState},
	}
	if r := RateOf(builds); r.Passed != 1 || r.Of() != 2 || r.Percent() != 50 {
		t.Errorf("%+v", r)
	}
	if m := Median(builds); m != 30*time.Minute {
		t.Errorf("%v", m)
	}
	c := ChartOf(builds)
	if c.Longest != 30*time.Minute || len(c.Bars) != 4 || c.Bars[0].Build.ID != 1 || c.Bars[0].Height != leastHeight || c.Bars[3].Height != chartHeight || c.Bars[2].Height != chartHeight || c.Bars[1].Height != leastHeight || c.Bars[3].X+barWidth != c.Width {
		t.Errorf("%+v", c)
	}
	if empty := ChartOf(nil); empty.Width < 1 || (Rate{}).Percent() != 0 || Median(nil) != 0 {
		t.Errorf("%+v", empty)
	}
}

func TestProbe34TheTableOfAPullRequest(t *testing.T) {
	old, new := strings.Repeat("a", 40), strings.Repeat("b", 40)
	at := func(minute int) time.Time { return time.Unix(int64(minute)*60, 0) }
	got := TableOf([]Build{
		{ID: 1, Job: "unit", Commit: old, Started: at(1), State: v1.FailureState}, {ID: 3, Job: "unit", Commit: old, Started: at(3), State: v1.SuccessState},
		{ID: 2, Job: "lint", Commit: old, Started: at(2), State: v1.SuccessState}, {ID: 5, Job: "lint", Commit: new, Started: at(5)},
		{ID: 9, Job: "unit", Commit: "pending", Started: at(9)},
	})
	if len(got.Commits) != 3 || got.Commits[0].SHA != new || got.Commits[1].SHA != old || got.Commits[1].Span != 2 || got.Commits[2].SHA != "" || got.Commits[1].Rate != (Rate{2, 1}) {
		t.Fatalf("%+v", got.Commits)
	}
	cells := func(row Row) (out []uint64) {
		for _, b := range row.Cells {
			if b == nil {
				out = append(out, 0)
			} else {
				out = append(out, b.ID)
			}
		}
		return out
	}
	if got.Rows[0].Job != "lint" || got.Rows[1].Job != "unit" || len(got.Rows) != 2 {
		t.Fatalf("%+v", got.Rows)
	}
	for i, want := range [][]uint64{{5, 2, 0, 0}, {0, 3, 1, 9}} {
		if ids := cells(got.Rows[i]); len(ids) != 4 || ids[0] != want[0] || ids[1] != want[1] || ids[2] != want[2] || ids[3] != want[3] {
			t.Errorf("%s: %v", got.Rows[i].Job, ids)
		}
	}
}
