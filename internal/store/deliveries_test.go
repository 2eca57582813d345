package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prow/internal/store"
	"prow/internal/store/storetest"
)

var start = time.UnixMilli(1_750_000_000_000)

func delivery(id string, minute int) store.Delivery {
	return store.Delivery{ID: id, Event: "push", Repo: "o/r", Received: start.Add(time.Duration(minute) * time.Minute), Payload: []byte(`{"id":"` + id + `"}`)}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func add(t *testing.T, s *store.Store, d store.Delivery, owner store.Owner) bool {
	t.Helper()
	added, err := s.AddDelivery(t.Context(), d, owner)
	must(t, err)
	return added
}

func ids(found []store.Delivery) (out string) {
	for _, d := range found {
		out += d.ID
	}
	return out
}

func TestADeliveryIsTakenOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		if !add(t, s, delivery("a", 0), store.Owner{}) || add(t, s, delivery("a", 1), store.Owner{}) {
			t.Error("the same delivery was taken twice, or never")
		}
		known, err := s.Has(t.Context(), []string{"a", "b"})
		must(t, err)
		if len(known) != 1 || !known["a"] {
			t.Errorf("known are %v", known)
		}
	})
}

func TestTheLifeOfADelivery(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		ctx, s := t.Context(), open()
		for i := range 3 {
			add(t, s, delivery(fmt.Sprint(i), i), store.Owner{})
		}
		me, now := store.Owner{ID: "me", Until: start.Add(time.Minute)}, start
		begin := func(id string, want bool) {
			t.Helper()
			begun, err := s.BeginDelivery(ctx, id, me, now)
			must(t, err)
			if begun != want {
				t.Errorf("%s begun %v", id, begun)
			}
		}
		begin("0", true)
		must(t, s.AddOutcome(ctx, "0", store.Outcome{Handler: "lgtm/comment", Finished: start, Took: time.Second, Error: "boom\x00\xff"}))
		begin("1", true)
		must(t, s.EndDelivery(ctx, "1", store.DeliveryDone))
		begin("1", false)

		s = open() // the next process, which sees the owner's deliveries only when his time is over
		free := func(now time.Time, want string) {
			t.Helper()
			found, err := s.FreeDeliveries(ctx, now, store.Delivery{}, 10)
			must(t, err)
			if got := ids(found); got != want {
				t.Errorf("free are %q, want %q", got, want)
			}
		}
		free(start, "2")
		free(start.Add(2*time.Minute), "02")
		d, found, err := s.GetDelivery(ctx, "0")
		must(t, err)
		if !found || d.Attempts != 1 || string(d.Payload) != `{"id":"0"}` || !d.Received.Equal(start) || d.Repo != "o/r" {
			t.Errorf("it became %+v", d)
		}
		outcomes, err := s.Outcomes(ctx, "0")
		must(t, err)
		if o := outcomes["lgtm/comment"]; o.Error != "boom??" || !o.Finished.Equal(start) || o.Took != time.Second {
			t.Errorf("outcome %+v", o)
		}
		n, err := s.PruneDeliveries(ctx, start.Add(time.Hour))
		must(t, err)
		if n != 1 {
			t.Errorf("pruned %d: only what is done may go", n)
		}
	})
}

func TestADeliveryHasOneOwner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		ctx, s, other := t.Context(), open(), open()
		me := store.Owner{ID: "me", Until: start.Add(time.Minute)}
		you := store.Owner{ID: "you", Until: start.Add(3 * time.Minute)}
		add(t, s, delivery("a", 0), me)
		begin := func(s *store.Store, owner store.Owner, now time.Time) bool {
			t.Helper()
			begun, err := s.BeginDelivery(ctx, "a", owner, now)
			must(t, err)
			return begun
		}
		if begin(other, you, start) {
			t.Error("another process took what is being handled")
		}
		must(t, s.ExtendOwner(ctx, store.Owner{ID: "me", Until: start.Add(2 * time.Minute)}))
		if begin(other, you, start.Add(90*time.Second)) {
			t.Error("another process took what its owner had kept")
		}
		if !begin(other, you, start.Add(150*time.Second)) {
			t.Error("nobody may take what a dead process left")
		}
		must(t, s.ReleaseDelivery(ctx, "a", "me", time.Time{}))
		if begin(s, me, start.Add(150*time.Second)) {
			t.Error("a process that lost a delivery gave it free")
		}
		must(t, other.ReleaseDelivery(ctx, "a", "you", start))
		d, _, err := s.GetDelivery(ctx, "a")
		must(t, err)
		if d.Attempts != 1 {
			t.Errorf("%d attempts: one was given back", d.Attempts)
		}
		if begin(s, me, start) {
			t.Error("it was to be left alone until then")
		}
		if !begin(s, me, start.Add(time.Second)) {
			t.Error("what was given back is not free")
		}
		must(t, s.ForgetOwners(ctx))
		if !begin(other, you, start) {
			t.Error("a forgotten owner keeps a delivery")
		}
	})
}

func TestTheSameDeliveryFromTwoReplicasIsBegunOnce(t *testing.T) {
	dsn := storetest.Postgres(t)
	var mu sync.Mutex
	begun := map[string]int{}
	var wg sync.WaitGroup
	for r := range 2 {
		wg.Go(func() {
			s, err := store.Open(t.Context(), dsn)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close() //nolint:errcheck // every write was committed
			owner := store.Owner{ID: fmt.Sprint(r), Until: start.Add(time.Minute)}
			for i := range 200 {
				id := fmt.Sprint(i)
				if _, err := s.AddDelivery(t.Context(), delivery(id, 0), store.Owner{}); err != nil {
					t.Error(err)
				}
				ok, err := s.BeginDelivery(t.Context(), id, owner, start)
				if err != nil {
					t.Error(err)
				}
				if ok {
					mu.Lock()
					begun[id]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for i := range 200 {
		if begun[fmt.Sprint(i)] != 1 {
			t.Errorf("delivery %d was begun %d times", i, begun[fmt.Sprint(i)])
		}
	}
}

func TestAReplayRunsWhatFailedOrAll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		ctx, s := t.Context(), open()
		replay := func(id string, all bool) bool {
			t.Helper()
			found, err := s.ReplayDelivery(ctx, id, all)
			must(t, err)
			return found
		}
		left := func() (out []string) {
			t.Helper()
			outcomes, err := s.Outcomes(ctx, "a")
			must(t, err)
			for h := range outcomes {
				out = append(out, h)
			}
			slices.Sort(out)
			return out
		}
		add(t, s, delivery("a", 0), store.Owner{})
		if replay("a", true) || replay("nosuch", true) {
			t.Error("what has not ended, or never was, is replayed")
		}
		must(t, s.AddOutcome(ctx, "a", store.Outcome{Handler: "good"}))
		must(t, s.AddOutcome(ctx, "a", store.Outcome{Handler: "bad", Error: "boom"}))
		must(t, s.EndDelivery(ctx, "a", store.DeliveryDead))
		if !replay("a", false) || !slices.Equal(left(), []string{"good"}) {
			t.Errorf("left are the outcomes of %v", left())
		}
		must(t, s.EndDelivery(ctx, "a", store.DeliveryDone))
		if !replay("a", true) || left() != nil {
			t.Errorf("left are the outcomes of %v", left())
		}
	})
}

func TestListDeliveries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		ctx, s := t.Context(), open()
		for i, repo := range []string{"o/r", "o/r2", "o", "o2/r", "o/r"} {
			d := delivery(fmt.Sprint(i), i)
			d.Repo, d.Action = repo, "created"
			if i == 4 {
				d.Event, d.State = "ping", store.DeliveryDone
			}
			add(t, s, d, store.Owner{})
		}
		must(t, s.AddOutcome(ctx, "1", store.Outcome{Handler: "a", Error: "boom"}))
		must(t, s.AddOutcome(ctx, "1", store.Outcome{Handler: "b"}))
		for name, tc := range map[string]struct {
			query store.DeliveryQuery
			want  string
		}{
			"all":                     {store.DeliveryQuery{}, "43210"},
			"a page":                  {store.DeliveryQuery{Limit: 2}, "43"},
			"the page before":         {store.DeliveryQuery{Limit: 2, Before: delivery("3", 3)}, "21"},
			"a repository":            {store.DeliveryQuery{Repo: "o/r"}, "40"},
			"an org with all its own": {store.DeliveryQuery{Repo: "o"}, "4210"},
			"failed":                  {store.DeliveryQuery{Failed: true}, "1"},
			"done":                    {store.DeliveryQuery{State: store.DeliveryDone}, "4"},
			"an event":                {store.DeliveryQuery{Event: "push", Repo: "o2/r"}, "3"},
		} {
			if tc.query.Limit == 0 {
				tc.query.Limit = 100
			}
			found, err := s.ListDeliveries(ctx, tc.query)
			must(t, err)
			var got string
			for _, d := range found {
				got += d.ID
			}
			if got != tc.want {
				t.Errorf("%s: got %q, want %q", name, got, tc.want)
			}
			if tc.query.Failed && len(found[0].Outcomes) != 2 {
				t.Errorf("outcomes %+v", found[0].Outcomes)
			}
		}
		n, err := s.CountDeliveries(ctx, store.DeliveryNew)
		must(t, err)
		if n != 4 {
			t.Errorf("%d are new", n)
		}
	})
}

func TestAPasswordIsNotShown(t *testing.T) {
	for _, dsn := range []string{"postgres://prow:hunter2@127.0.0.1:1/x?password=hunter2", "postgres://prow:hunter2@127.0.0.1:bad/x"} {
		_, err := store.Open(context.Background(), dsn)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}
