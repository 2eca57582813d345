package sim

import (
	"slices"
	"time"
)

// oracle plays the same arrivals for one who knows which pull requests are broken
// and how every test ends. On the same machines it tests each pull request that
// will land once, together with all before it, and again what fails by chance;
// whatever passes lands with all before it. With enough machines no planner can do
// better.
func (s *simulation) oracle(arrivals []Arrival) {
	type landing struct{ at, done time.Duration }
	capacity := s.sc.CI.Capacity
	var line []landing
	debt := 0
	for n, a := range arrivals {
		t := s.traits(n+1, a)
		if t.pair {
			debt++
		}
		at := a.At
		if t.broken || debt > 0 {
			if !t.broken {
				debt--
			}
			r := s.lots.of(aboutPeople, uint64(n+1), 1<<8)
			if r.Float64() < float64(s.sc.People.Leave) {
				continue
			}
			at += s.sc.People.Fix.draw(r)
		}
		line = append(line, landing{at: at})
	}
	slices.SortFunc(line, func(a, b landing) int { return int(a.at - b.at) })
	free := machines(nil)
	r := s.lots.apart(aboutOracle)
	for i := range line {
		l := &line[i]
		for c := range s.sc.CI.Contexts {
			ctx := &s.sc.CI.Contexts[c]
			if c > 0 && ctx.Of > 0 && r.Float64() >= float64(ctx.Of) {
				continue
			}
			done := l.at
			if capacity > 0 && len(free) >= capacity {
				done = max(done, free.take())
			}
			for r.Float64() < float64(s.sc.CI.Flakes) {
				lost := ctx.Takes.draw(r)
				if ctx.FailsAfter > 0 {
					lost = time.Duration(float64(lost) * float64(ctx.FailsAfter))
				}
				done += lost
			}
			done += ctx.Takes.draw(r)
			if capacity > 0 {
				free.add(done)
			}
			l.done = max(l.done, done)
		}
	}
	warm := time.Duration(s.sc.Warmup * float64(time.Hour))
	first, landed := unfinished, 0
	for _, l := range slices.Backward(line) {
		first = min(first, l.done)
		if l.at >= warm && l.at < s.end {
			s.report.oracle = append(s.report.oracle, max(first-l.at, 0))
		}
		if at := max(first, l.at); at >= warm && at < s.end {
			landed++
		}
	}
	if hours := (s.end - warm).Hours(); hours > 0 {
		s.report.OraclePerHour = float64(landed) / hours
	}
}

// machines are a heap of when they are free.
type machines []time.Duration

func (m *machines) add(d time.Duration) {
	h := append(*m, d)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[i] >= h[up] {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	*m = h
}

func (m *machines) take() time.Duration {
	h := *m
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		low := 2*i + 1
		if low >= last {
			break
		}
		if low+1 < last && h[low+1] < h[low] {
			low++
		}
		if h[low] >= h[i] {
			break
		}
		h[i], h[low] = h[low], h[i]
		i = low
	}
	*m = h
	return first
}
