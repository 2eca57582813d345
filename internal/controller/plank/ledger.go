package plank

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/prowjob"
)

// wakeAtMost bounds how many waiting jobs are looked at when one leaves room:
// the oldest go first, and those that it does not help wait for their next look.
const wakeAtMost = 4

// limits are the configured bounds on how many jobs run at once.
type limits struct {
	// global is plank.max_concurrency; 0 is no limit.
	global int
	// queues are plank.job_queue_capacities: 0 blocks, a negative number is no limit.
	queues map[string]int
}

// ledger counts the active jobs of the Kubernetes agent, by job name and by
// queue, so that nothing scans all jobs to decide about one. It is fed by events
// and by this process's own writes, whichever comes first. A job that may start
// reserves its place in the same step, so workers need no further locks.
type ledger struct {
	mu         sync.Mutex
	entries    map[types.UID]*entry
	byName     map[types.NamespacedName]*entry
	all        group
	jobs       map[string]*group
	queues     map[string]*group
	identities map[string]map[types.UID]*entry
}

// entry is an active job: scheduling, triggered or pending, or one of which this
// process has written that it is no longer, but whose event has not come.
type entry struct {
	job      *prowv1.ProwJob
	key      types.NamespacedName
	identity string
	// reserved: it may have a pod although its state does not tell yet.
	reserved bool
	// blocked: a limit kept it from starting when it was last looked at.
	blocked bool
}

func (e *entry) running() bool {
	return e.job.Status.State == prowv1.PendingState || e.job.Status.State == prowv1.TriggeredState && e.reserved
}

func (e *entry) waiting() bool {
	return e.job.Status.State == prowv1.TriggeredState && !e.reserved
}

// group counts jobs that share a limit.
type group struct {
	running int
	// waiting are the triggered ones, the oldest first.
	waiting []*entry
}

func newLedger() *ledger {
	return &ledger{
		entries: map[types.UID]*entry{}, byName: map[types.NamespacedName]*entry{},
		jobs: map[string]*group{}, queues: map[string]*group{}, identities: map[string]map[types.UID]*entry{},
	}
}

// byAge orders waiting jobs.
func byAge(a, b *entry) int {
	if d := a.job.CreationTimestamp.Compare(b.job.CreationTimestamp.Time); d != 0 {
		return d
	}
	return cmp.Compare(a.key.Name, b.key.Name)
}

// observe takes note of a job as it was read or written; what is older than what
// is known is ignored. It returns waiting jobs to look at again because they may
// have room now. event tells that the cache shows this job.
func (l *ledger) observe(job *prowv1.ProwJob, event bool) (wake []types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.entries[job.UID]
	if old != nil && older(job.ResourceVersion, old.job.ResourceVersion) {
		return nil
	}
	live := job.Spec.Agent == prowv1.KubernetesAgent && !job.Complete() && active(job.Status.State)
	if old == nil && !live {
		return nil
	}
	if !live && event {
		return l.remove(old)
	}
	e := &entry{job: job, key: types.NamespacedName{Namespace: job.Namespace, Name: job.Name}}
	if old != nil {
		e.reserved, e.blocked = old.reserved && live, old.blocked
	}
	if live && job.Spec.Type == prowv1.PresubmitJob {
		e.identity = prowjob.Identifier(&job.Spec)
	}
	if old != nil {
		wake = l.remove(old)
	}
	l.insert(e)
	if e.running() {
		// Nothing became free.
		return nil
	}
	return wake
}

// forget drops a job that is gone.
func (l *ledger) forget(uid types.UID) (wake []types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[uid]; e != nil {
		return l.remove(e)
	}
	return nil
}

func active(state prowv1.ProwJobState) bool {
	switch state {
	case prowv1.SchedulingState, prowv1.TriggeredState, prowv1.PendingState:
		return true
	}
	return false
}

// older tells whether a resource version comes before another of the same kind;
// one that cannot be compared does not.
func older(a, b string) bool {
	n, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && n < 0
}

// groups are those that a job belongs to.
func (l *ledger) groups(e *entry) []*group {
	out := []*group{&l.all, member(l.jobs, e.job.Spec.Job)}
	if queue := e.job.Spec.JobQueueName; queue != "" {
		out = append(out, member(l.queues, queue))
	}
	return out
}

func member(m map[string]*group, key string) *group {
	g := m[key]
	if g == nil {
		g = &group{}
		m[key] = g
	}
	return g
}

func (l *ledger) insert(e *entry) {
	l.entries[e.job.UID], l.byName[e.key] = e, e
	l.place(e)
	if e.identity != "" {
		if l.identities[e.identity] == nil {
			l.identities[e.identity] = map[types.UID]*entry{}
		}
		l.identities[e.identity][e.job.UID] = e
	}
}

// place counts an entry in its groups.
func (l *ledger) place(e *entry) {
	for _, g := range l.groups(e) {
		switch {
		case e.running():
			g.running++
		case e.waiting():
			at, _ := slices.BinarySearchFunc(g.waiting, e, byAge)
			g.waiting = slices.Insert(g.waiting, at, e)
		}
	}
}

// displace is the opposite; it returns whom the place helps.
func (l *ledger) displace(e *entry) (wake []types.NamespacedName) {
	for _, g := range l.groups(e) {
		switch {
		case e.running():
			g.running--
			wake = g.next(wake)
		case e.waiting():
			if at, found := slices.BinarySearchFunc(g.waiting, e, byAge); found {
				g.waiting = slices.Delete(g.waiting, at, at+1)
				wake = g.next(wake)
			}
		}
	}
	return wake
}

// next adds the oldest blocked jobs.
func (g *group) next(keys []types.NamespacedName) []types.NamespacedName {
	for i, n := 0, 0; i < len(g.waiting) && i < 16*wakeAtMost && n < wakeAtMost; i++ {
		if e := g.waiting[i]; e.blocked && !slices.Contains(keys, e.key) {
			keys, n = append(keys, e.key), n+1
		}
	}
	return keys
}

func (l *ledger) remove(e *entry) (wake []types.NamespacedName) {
	wake = l.displace(e)
	delete(l.entries, e.job.UID)
	if l.byName[e.key] == e {
		delete(l.byName, e.key)
	}
	if same := l.identities[e.identity]; same != nil {
		if delete(same, e.job.UID); len(same) == 0 {
			delete(l.identities, e.identity)
		}
	}
	// Names of jobs come and go; a group without members is no longer needed.
	if g := l.jobs[e.job.Spec.Job]; g != nil && g.running == 0 && len(g.waiting) == 0 {
		delete(l.jobs, e.job.Spec.Job)
	}
	if g := l.queues[e.job.Spec.JobQueueName]; g != nil && g.running == 0 && len(g.waiting) == 0 {
		delete(l.queues, e.job.Spec.JobQueueName)
	}
	return wake
}

// find returns the job of a name among the active ones.
func (l *ledger) find(key types.NamespacedName) (*prowv1.ProwJob, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.byName[key]; e != nil {
		return e.job, true
	}
	return nil, false
}

// keys are all active jobs.
func (l *ledger) keys() []*prowv1.ProwJob {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*prowv1.ProwJob, 0, len(l.entries))
	for _, e := range l.entries {
		out = append(out, e.job)
	}
	return out
}

// duplicates are the jobs that a newer run of the same as job replaces.
func (l *ledger) duplicates(job *prowv1.ProwJob) []*prowv1.ProwJob {
	if job.Spec.Type != prowv1.PresubmitJob {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	same := l.identities[prowjob.Identifier(&job.Spec)]
	if len(same) < 2 {
		return nil
	}
	jobs := make([]*prowv1.ProwJob, 0, len(same))
	for _, e := range same {
		jobs = append(jobs, e.job)
	}
	// One order for all workers: jobs that started in the same second must not abort each other.
	slices.SortFunc(jobs, func(a, b *prowv1.ProwJob) int { return cmp.Compare(a.Name, b.Name) })
	return prowjob.Duplicates(jobs)
}

// reserve tells whether a triggered job may get a pod, and if so counts it as
// running until its state tells or release is called. Three limits must all
// allow it: the global one, the job's own, and that of its queue. Jobs that are
// strictly older go first.
func (l *ledger) reserve(job *prowv1.ProwJob, lim limits) (ok bool, reason prowv1.Reason, sentence string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[job.UID]
	if e == nil {
		e = &entry{job: job, key: types.NamespacedName{Namespace: job.Namespace, Name: job.Name}}
		l.insert(e)
	}
	if e.running() {
		return true, "", ""
	}
	if reason, sentence = l.obstacle(e, lim); reason != "" {
		e.blocked = true
		return false, reason, sentence
	}
	l.displace(e)
	e.reserved, e.blocked = true, false
	l.place(e)
	return true, "", ""
}

func (l *ledger) obstacle(e *entry, lim limits) (prowv1.Reason, string) {
	job := e.job
	if lim.global > 0 && l.all.running >= lim.global {
		return prowv1.ReasonWaitingForConcurrency, fmt.Sprintf("Waiting: %d jobs are running, and the limit of all jobs is %d.", l.all.running, lim.global)
	}
	if limit := job.Spec.MaxConcurrency; limit > 0 {
		if n := member(l.jobs, job.Spec.Job).ahead(e, limit); n >= limit {
			return prowv1.ReasonWaitingForConcurrency, fmt.Sprintf("Waiting: other runs of this job are ahead, and its max_concurrency is %d.", limit)
		}
	}
	if queue := job.Spec.JobQueueName; queue != "" {
		limit, known := lim.queues[queue]
		switch {
		case !known:
			return prowv1.ReasonWaitingForQueue, fmt.Sprintf("Waiting: job queue %q is not in plank.job_queue_capacities.", queue)
		case limit == 0:
			return prowv1.ReasonWaitingForQueue, fmt.Sprintf("Waiting: job queue %s is closed, its capacity is 0.", queue)
		case limit > 0 && member(l.queues, queue).ahead(e, limit) >= limit:
			return prowv1.ReasonWaitingForQueue, fmt.Sprintf("Waiting: other jobs of queue %s are ahead, and its capacity is %d.", queue, limit)
		}
	}
	return "", ""
}

// ahead counts the jobs that are running, or waiting and strictly older, at most
// up to the limit.
func (g *group) ahead(e *entry, limit int) int {
	n := g.running
	for _, other := range g.waiting {
		if n >= limit || !other.job.CreationTimestamp.Before(&e.job.CreationTimestamp) {
			break
		}
		n++
	}
	return n
}

// release gives a reserved place back: the job did not get a pod.
func (l *ledger) release(uid types.UID) (wake []types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[uid]
	if e == nil || !e.reserved {
		return nil
	}
	if e.job.Status.State != prowv1.TriggeredState {
		e.reserved = false
		return nil
	}
	wake = l.displace(e)
	e.reserved = false
	l.place(e)
	return wake
}

// size is how many jobs are active.
func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}
