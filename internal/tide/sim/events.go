package sim

import "time"

type eventKind int

const (
	arrives eventKind = iota
	jobEnds
	pushes
	holds
	returns
	repaired
	retested
	allowed
	foreignPush
	foreignRepair
	blocks
	unblocks
	sinks
	stirs
)

// event is something that happens at a time.
type event struct {
	at   time.Duration
	seq  int
	kind eventKind
	pull *pull
	// version of the pull request that it is about; another one makes it void.
	version int
	job     *job
	trial   *trial
}

func (e *event) before(o *event) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	return e.seq < o.seq
}

// events are a heap with the next one first.
type events struct {
	heap []event
	seq  int
}

func (q *events) add(e event) {
	q.seq++
	e.seq = q.seq
	h := append(q.heap, e)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	q.heap = h
}

func (q *events) next() (time.Duration, bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

func (q *events) take() event {
	h := q.heap
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h[last] = event{}
	h = h[:last]
	for i := 0; ; {
		low := 2*i + 1
		if low >= last {
			break
		}
		if low+1 < last && h[low+1].before(&h[low]) {
			low++
		}
		if !h[low].before(&h[i]) {
			break
		}
		h[i], h[low] = h[low], h[i]
		i = low
	}
	q.heap = h
	return first
}
