package hook

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/service"
)

const (
	// laneWidth is how many handlers of one plugin run at once.
	laneWidth = 32
	// laneLength is how many more wait in memory; the deliveries of others wait in
	// the store.
	laneLength = 128
)

// lanes keep plugins from each other: one that is slow fills its own lane, and
// only its own handlers wait. Handlers of a plugin for the same issue or pull
// request run one after the other, in the order in which the deliveries came.
type lanes struct {
	running, waiting *prometheus.GaugeVec

	mu    sync.Mutex
	lanes map[string]*lane
}

type lane struct {
	slots   chan struct{}
	inside  int
	last    map[string]*turn
	running prometheus.Gauge
	waiting prometheus.Gauge
}

// turn ends when its handler has ended.
type turn struct{ over chan struct{} }

func newLanes(reg prometheus.Registerer) *lanes {
	vec := func(name, help string) *prometheus.GaugeVec {
		return service.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"plugin"}))
	}
	return &lanes{
		running: vec("prow_plugin_handlers_running", "Number of handlers that run."),
		waiting: vec("prow_plugin_handlers_waiting", "Number of handlers that wait for others of the same plugin."),
		lanes:   map[string]*lane{},
	}
}

// place is a place in a lane, which must be left.
type place struct {
	all    *lanes
	lane   *lane
	key    string
	before *turn // may be nil
	own    *turn
	ran    bool
}

// enter takes a place in a plugin's lane, behind those before it with the same
// key; nil where the lane is full.
func (l *lanes) enter(plugin, key string) *place {
	l.mu.Lock()
	defer l.mu.Unlock()
	way := l.lanes[plugin]
	if way == nil {
		way = &lane{slots: make(chan struct{}, laneWidth), last: map[string]*turn{}, running: l.running.WithLabelValues(plugin), waiting: l.waiting.WithLabelValues(plugin)}
		l.lanes[plugin] = way
	}
	if way.inside >= laneWidth+laneLength {
		return nil
	}
	way.inside++
	way.waiting.Inc()
	p := &place{all: l, lane: way, key: key, own: &turn{over: make(chan struct{})}}
	if key != "" {
		p.before = way.last[key]
		way.last[key] = p.own
	}
	return p
}

// room tells whether a plugin's lane has a place.
func (l *lanes) room(plugin string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	way := l.lanes[plugin]
	return way == nil || way.inside < laneWidth+laneLength
}

// wait returns when it is the handler's turn, or with the error of ctx.
func (p *place) wait(ctx context.Context) error {
	if p.before != nil {
		select {
		case <-p.before.over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case p.lane.slots <- struct{}{}:
		p.ran = true
		p.lane.waiting.Dec()
		p.lane.running.Inc()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave lets the next in.
func (p *place) leave() {
	if p.ran {
		p.lane.running.Dec()
		<-p.lane.slots
	} else {
		p.lane.waiting.Dec()
	}
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.lane.inside--
	if p.lane.last[p.key] == p.own {
		delete(p.lane.last, p.key)
	}
	close(p.own.over)
}
