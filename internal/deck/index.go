package deck

import (
	"hash/maphash"
	"slices"
	"sync"
)

// index knows the runs: those in the cluster, and those that have ended and are kept in
// the store (keeper.go). In memory it has an entry for each, and the bodies of those that
// the store does not have; other bodies are read when they are asked for (bodies.go).
// Nothing it returns is to be changed.
type index struct {
	bodies

	mu     sync.RWMutex
	byName map[string]*entry
	// byRun finds runs by the hash of job and build.
	byRun map[uint64]*entry
	seed  maphash.Seed
	// sorted is newest first.
	sorted []*entry
	// cluster has the names of what is in the cluster, and the round in which that was seen.
	cluster map[string]uint32
	round   uint32
	// held are bodies that are nowhere else, by name.
	held map[string][]byte
	// unsaved are runs that have ended and are not in the store yet; wake tells of them.
	// Without a store they are not kept, and end with their ProwJob.
	unsaved map[string]*entry
	wake    chan struct{}
	keeps   bool
	// version counts changes; changed is closed at the next one.
	version uint64
	changed chan struct{}
}

// maxUnsaved is how many bodies wait for a store that is slow, or does not work.
const maxUnsaved = 10_000

func newIndex() *index {
	return &index{
		byName: map[string]*entry{}, byRun: map[uint64]*entry{}, seed: maphash.MakeSeed(), cluster: map[string]uint32{}, held: map[string][]byte{}, unsaved: map[string]*entry{},
		wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
}

// runKey is what URLs call a run.
type runKey struct{ job, build string }

func (x *index) hash(k runKey) uint64 { return maphash.Comparable(x.seed, k) }

// known notes that an entry is in the cluster, and tells whether nothing else is new.
func (x *index) known(e *entry) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.byName[e.name]
	if old == nil || old.version != e.version || old.complete() != e.complete() {
		return false
	}
	if _, here := x.cluster[e.name]; !here {
		x.touch() // it is part of what the cluster has
	}
	x.cluster[e.name] = x.round
	return true
}

// put adds or replaces a run of the cluster.
func (x *index) put(e *entry, body []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cluster[e.name] = x.round
	x.replace(e)
	x.held[e.name] = body
	delete(x.unsaved, e.name)
	if x.keeps && e.complete() {
		if len(x.unsaved) >= maxUnsaved {
			delete(x.held, e.name) // the cluster has it, too
		}
		x.unsaved[e.name] = e
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
	x.touch()
}

// remove notes that a run has left the cluster. What has ended stays.
func (x *index) remove(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone(name)
	x.touch()
}

func (x *index) gone(name string) {
	delete(x.cluster, name)
	e := x.byName[name]
	if e == nil || x.keeps && e.complete() && (x.unsaved[name] == nil || x.held[name] != nil) {
		return
	}
	x.forget(e)
}

// begin starts a round, in which everything in the cluster is put; sweep ends it, and
// removes what was not.
func (x *index) begin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.round++
}

func (x *index) sweep() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name, round := range x.cluster {
		if round != x.round {
			x.gone(name)
		}
	}
	x.touch()
}

// addStored adds runs that the store has. What the cluster has is newer.
func (x *index) addStored(entries []*entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	added := false
	for _, e := range entries {
		old := x.byName[e.name]
		if _, here := x.cluster[e.name]; here || old != nil && (old.version == e.version || x.unsaved[e.name] != nil) {
			continue
		}
		x.replace(e)
		delete(x.held, e.name)
		added = true
	}
	if added {
		x.touch()
	}
}

// waiting returns some of the runs that are to be written to the store, the oldest first.
func (x *index) waiting(most int) []*entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	entries := make([]*entry, 0, len(x.unsaved))
	for _, e := range x.unsaved {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b *entry) int { return b.compare(a) })
	return entries[:min(most, len(entries))]
}

// saved notes that runs are in the store.
func (x *index) saved(entries []*entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range entries {
		if x.unsaved[e.name] == e { // it has not changed meanwhile
			delete(x.unsaved, e.name)
			delete(x.held, e.name)
		}
	}
}

// prune forgets runs that are not in the cluster and began before a time, in Unix seconds,
// and all but the newest.
func (x *index) prune(before int64, newest int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	kept := make([]*entry, 0, len(x.sorted))
	for _, e := range x.sorted {
		if _, here := x.cluster[e.name]; here || e.start >= before && len(kept) < newest {
			kept = append(kept, e)
			continue
		}
		x.unlink(e)
	}
	if len(kept) < len(x.sorted) {
		x.sorted = kept
		x.touch()
	}
}

// drop forgets a run that is no longer in the store.
func (x *index) drop(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, here := x.cluster[e.name]; !here && x.byName[e.name] == e {
		x.forget(e)
		x.touch()
	}
}

// replace puts an entry into the place of the one with its name.
func (x *index) replace(e *entry) {
	if old := x.byName[e.name]; old != nil {
		if old.compare(e) == 0 {
			i, _ := slices.BinarySearchFunc(x.sorted, e, (*entry).compare)
			x.sorted[i] = e
			x.unlink(old)
		} else {
			x.forget(old)
		}
	}
	if x.byName[e.name] == nil {
		if i, found := slices.BinarySearchFunc(x.sorted, e, (*entry).compare); !found {
			x.sorted = slices.Insert(x.sorted, i, e)
		}
	}
	x.byName[e.name] = e
	if e.build == "" {
		return
	}
	key := x.hash(runKey{e.shape.Value().job, e.build})
	// Of runs with one address that counts which is in the cluster.
	if other := x.byRun[key]; other != nil {
		_, here := x.cluster[e.name]
		if _, there := x.cluster[other.name]; there && !here {
			return
		}
	}
	x.byRun[key] = e
}

func (x *index) forget(e *entry) {
	x.unlink(e)
	if i, found := slices.BinarySearchFunc(x.sorted, e, (*entry).compare); found {
		x.sorted = slices.Delete(x.sorted, i, i+1)
	}
}

// unlink leaves an entry in the order only.
func (x *index) unlink(e *entry) {
	delete(x.byName, e.name)
	delete(x.held, e.name)
	delete(x.unsaved, e.name)
	if key := x.hash(runKey{e.shape.Value().job, e.build}); x.byRun[key] == e {
		delete(x.byRun, key)
	}
}

func (x *index) touch() {
	x.version++
	close(x.changed)
	x.changed = make(chan struct{})
}

// watch returns the version and a channel that is closed when it is outdated.
func (x *index) watch() (version uint64, changed <-chan struct{}) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.version, x.changed
}

// named finds the entry of a name; nil if there is none.
func (x *index) named(name string) *entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byName[name]
}

// entryOfRun finds the entry of a run; nil if there is none.
func (x *index) entryOfRun(job, build string) *entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	e := x.byRun[x.hash(runKey{job, build})]
	if e == nil || e.build != build || e.shape.Value().job != job {
		return nil
	}
	return e
}

// size is how many runs there are.
func (x *index) size() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.sorted)
}

// each calls do for every run, newest first, until it returns false. do must be quick, and
// must not use the index.
func (x *index) each(do func(*entry) bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, e := range x.sorted {
		if !do(e) {
			return
		}
	}
}

// inCluster returns up to n runs of the cluster that meet a condition and come after a
// position, newest first. Fewer are all there are.
func (x *index) inCluster(after *position, n int, meets func(*entry) bool) (out []*entry) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	i := 0
	if after != nil {
		var found bool
		if i, found = slices.BinarySearchFunc(x.sorted, *after, func(e *entry, p position) int { return e.position().compare(p) }); found {
			i++
		}
	}
	for ; i < len(x.sorted) && len(out) < n; i++ {
		if _, here := x.cluster[x.sorted[i].name]; here && meets(x.sorted[i]) {
			out = append(out, x.sorted[i])
		}
	}
	return out
}
