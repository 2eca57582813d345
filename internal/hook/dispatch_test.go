package hook

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/forge/github"
)

func TestHandlersOfOnePullRequestRunInTheirOrder(t *testing.T) {
	all := newLanes(prometheus.NewRegistry())
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for n := range 20 {
		p := all.enter("hold", "o/r#1")
		wg.Go(func() {
			defer p.leave()
			<-gate
			if err := p.wait(t.Context()); err != nil {
				t.Error(err)
			}
			mu.Lock()
			order = append(order, n)
			mu.Unlock()
		})
	}
	close(gate)
	wg.Wait()
	if !slices.IsSorted(order) || len(order) != 20 {
		t.Errorf("they ran in the order %v", order)
	}
	if len(all.lanes["hold"].last) != 0 {
		t.Error("the lane remembers pull requests that nobody handles")
	}
}

func TestALaneIsBoundedAndTheNextLaneIsFree(t *testing.T) {
	all := newLanes(prometheus.NewRegistry())
	var inside []*place
	for range laneWidth + laneLength {
		inside = append(inside, all.enter("slow", ""))
	}
	for _, p := range inside[:laneWidth] {
		if err := p.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all.enter("slow", "") != nil {
		t.Error("the lane has no end")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := inside[laneWidth].wait(ctx); err == nil {
		t.Error("more run at once than may")
	}
	quick := all.enter("quick", "")
	if quick == nil || quick.wait(t.Context()) != nil {
		t.Error("another plugin has to wait")
	}
	for _, p := range inside {
		p.leave()
	}
	if all.enter("slow", "") == nil {
		t.Error("the lane stays full")
	}
}

func TestMissedDeliveries(t *testing.T) {
	at := func(minute int) time.Time { return time.Unix(0, 0).Add(time.Duration(minute) * time.Minute) }
	got := missed([]github.HookDelivery{
		{ID: 9, GUID: "again", StatusCode: 200, DeliveredAt: at(9), Redelivery: true},
		{ID: 8, GUID: "twice", StatusCode: 0, DeliveredAt: at(8), Redelivery: true},
		{ID: 7, GUID: "refused", StatusCode: 403, DeliveredAt: at(7)},
		{ID: 6, GUID: "down", StatusCode: 502, DeliveredAt: at(6)},
		{ID: 5, GUID: "again", StatusCode: 503, DeliveredAt: at(5)},
		{ID: 4, GUID: "twice", StatusCode: 502, DeliveredAt: at(4)},
		{ID: 3, GUID: "fine", StatusCode: 202, DeliveredAt: at(3)},
	})
	var ids []string
	for _, d := range got {
		ids = append(ids, d.GUID)
	}
	if strings.Join(ids, ",") != "down,twice" {
		t.Errorf("missed are %v", ids)
	}
}
