package tide

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
	"prow/internal/tide/history"
)

// errCut is what a process gets that was killed.
var errCut = errors.New("the process was killed")

// cut kills a process at one of the calls by which it changes anything outside: a
// request to the forge, a ProwJob that is created or patched, the file of the history.
// Calls that read change nothing: to be killed at one is to be killed before the next
// one that writes.
type cut struct {
	mu sync.Mutex
	// armed tells that calls are those of the process.
	armed bool
	// at is the call to be killed at, 0 is never; after tells that it takes effect.
	at    int
	after bool
	calls int
	dead  bool
	kill  context.CancelFunc
}

// write makes a call, unless the process is killed before.
func (c *cut) write(effect func()) error {
	c.mu.Lock()
	if !c.armed {
		c.mu.Unlock()
		effect()
		return nil
	}
	if c.dead {
		c.mu.Unlock()
		return errCut
	}
	c.calls++
	now := c.calls == c.at
	if now {
		c.dead = true
	}
	c.mu.Unlock()
	if !now || c.after {
		effect()
	}
	if now {
		c.kill()
		return errCut
	}
	return nil
}

func (c *cut) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.armed && c.dead
}

// cutForge is a forge before which processes are killed. after is called when it has
// answered.
type cutForge struct {
	*cut
	next  http.Handler
	after func(r *http.Request, body string)
}

func (f *cutForge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := ""
	if strings.HasPrefix(r.URL.Path, "/api/") {
		raw, _ := io.ReadAll(r.Body)
		body, r.Body = string(raw), io.NopCloser(bytes.NewReader(raw))
	}
	serve := func() {
		f.next.ServeHTTP(w, r)
		if f.after != nil && body != "" {
			f.after(r, body)
		}
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/v3/") && r.Method != http.MethodGet:
		if f.write(serve) != nil {
			panic(http.ErrAbortHandler)
		}
	case strings.HasPrefix(r.URL.Path, "/api/") && f.gone():
		panic(http.ErrAbortHandler)
	default:
		serve()
	}
}

type cutJobs struct {
	client.WithWatch
	*cut
}

func (j *cutJobs) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) (err error) {
	return errors.Join(j.write(func() { err = j.WithWatch.Create(context.WithoutCancel(ctx), o, opts...) }), err)
}

func (j *cutJobs) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) (err error) {
	return errors.Join(j.write(func() { err = j.WithWatch.Patch(context.WithoutCancel(ctx), o, p, opts...) }), err)
}

type cutBucket struct {
	storage.Bucket
	*cut
}

func (b *cutBucket) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) (err error) {
	return errors.Join(b.write(func() { err = b.Bucket.Put(ctx, key, src, opts) }), err)
}

// crashWorld is a world of which the processes are killed. What is tested is real: a
// run passes if the merged tree has no bad file, and not both files of a pair that does
// not go together.
type crashWorld struct {
	*world
	*cut
	place *history.Place
	start string
	// good are to be merged once, bad never, and one of the pair.
	good, bad, pair []int
	// speculates tells that a tree is tested once. The classic planner knows nothing of
	// trees, and makes a batch that failed anew until its members have failed.
	speculates bool
	trees      map[string]string
}

func newCrashWorld(t *testing.T, cfg string, c *cut) *crashWorld {
	w := &crashWorld{world: newWorld(t), cut: c, speculates: strings.Contains(cfg, "speculative"), trees: map[string]string{}}
	w.configure(cfg, unitJob)
	dir, err := filestore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.place = &history.Place{Bucket: &cutBucket{dir, c}, Key: "history.json"}
	w.start = w.main()
	for _, file := range []string{"first", "bad", "second", "left", "turncoat", "right"} {
		switch number, head := w.tested(file); file {
		case "turncoat":
			w.betray(head)
			fallthrough
		case "bad":
			w.bad = append(w.bad, number)
		case "left", "right":
			w.pair = append(w.pair, number)
		default:
			w.good = append(w.good, number)
		}
	}
	w.sync.Jobs = &cutJobs{w.jobs, c}
	w.reborn()
	return w
}

// betray has two things happen between what a process reads and what it does: a bad
// commit is pushed to a pull request when the process is about to merge it, and
// somebody pushes to the branch when a result has come.
func (w *crashWorld) betray(head string) {
	pushed, betrayed := false, false
	w.proxy.next = &cutForge{cut: w.cut, next: w.forge.Handler(), after: func(r *http.Request, body string) {
		switch {
		case !w.armed:
		case !betrayed && strings.HasSuffix(r.URL.Path, "/statuses/"+head):
			betrayed = true
			w.push("change-turncoat", "main", "bad-turncoat", "x\n")
		case !pushed && strings.Contains(body, "mergeStateStatus") && slices.ContainsFunc(w.runs(), func(j prowv1.ProwJob) bool {
			return j.Status.State == prowv1.SuccessState && len(j.Spec.Refs.Pulls) > 1
		}):
			pushed = true
			w.push("main", "main", "of-a-person", "x\n")
		}
	}}
}

// reborn is another process, which remembers the history alone.
func (w *crashWorld) reborn() {
	w.t.Helper()
	past, err := history.New(context.Background(), 100, w.place)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sync.History, w.past = past, past
	w.restart()
}

// live makes rounds until nothing goes on any more, and begins anew where the process
// is killed.
func (w *crashWorld) live() {
	w.t.Helper()
	quiet := 0
	for range 60 {
		before := w.running()
		ctx, kill := context.WithCancel(w.t.Context())
		w.cut.mu.Lock()
		w.armed, w.kill = true, kill
		w.cut.mu.Unlock()
		err := w.sync.Sync(ctx, w.cfg)
		kill()
		w.cut.mu.Lock()
		w.armed = false
		dead := w.dead
		w.dead = false
		w.cut.mu.Unlock()
		w.offset += 60e9
		switch {
		case dead:
			w.reborn()
			quiet = 0
			continue
		case err != nil:
			w.t.Fatal(err)
		}
		w.ends(before)
		if quiet++; len(w.running()) > 0 || w.action() != "" && !strings.HasPrefix(w.action(), "WAIT") {
			quiet = 0
		}
		if quiet == 3 {
			return
		}
	}
	w.t.Fatalf("it goes on for ever: %s, %v, %+v", w.action(), w.running(), w.sync.Pools())
}

// ends ends the runs that were going on at the beginning of the round.
func (w *crashWorld) ends(running []string) {
	w.t.Helper()
	for _, j := range w.runs() {
		text := j.Spec.Job
		for _, p := range j.Spec.Refs.Pulls {
			text += fmt.Sprintf(" #%d", p.Number)
		}
		if j.Complete() || !slices.Contains(running, text) {
			continue
		}
		j.SetComplete()
		j.Status.State = prowv1.FailureState
		if w.passes(w.treeOf(&j)) {
			j.Status.State = prowv1.SuccessState
		}
		w.update(&j)
		if head := j.Spec.Refs.Pulls[0].SHA; j.Spec.Report {
			if j.Status.State == prowv1.SuccessState {
				w.world.passed(head, j.Spec.Context, j.Spec.Refs.BaseSHA)
			} else {
				w.report(head, j.Spec.Context, "failure", "Job failed.")
			}
		}
	}
}

// merge is what comes of merging commits onto a base, by git alone.
func (w *crashWorld) merge(base string, heads ...string) string {
	w.t.Helper()
	key := base + " " + strings.Join(heads, " ")
	if tree, ok := w.trees[key]; ok {
		return tree
	}
	at := base
	for _, h := range heads {
		tree := w.git(w.clone, "merge-tree", "--write-tree", at, h)
		at = w.git(w.clone, "commit-tree", tree, "-p", at, "-p", h, "-m", "merge")
	}
	w.trees[key] = w.git(w.clone, "rev-parse", at+"^{tree}")
	return w.trees[key]
}

func (w *crashWorld) treeOf(j *prowv1.ProwJob) string {
	w.git(w.clone, "fetch", "--quiet", "origin")
	return w.merge(j.Spec.Refs.BaseSHA, shas(j)...)
}

func shas(j *prowv1.ProwJob) []string {
	var out []string
	for _, p := range j.Spec.Refs.Pulls {
		out = append(out, p.SHA)
	}
	return out
}

func (w *crashWorld) passes(tree string) bool {
	files := strings.Fields(w.git(w.clone, "ls-tree", "--name-only", tree))
	return !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, "bad") }) &&
		(!slices.Contains(files, "left") || !slices.Contains(files, "right"))
}

// judge tells what is wrong with what was merged and tested.
func (w *crashWorld) judge() (wrong []string) {
	w.t.Helper()
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	w.git(w.clone, "fetch", "--quiet", "origin")
	for _, number := range w.good {
		if !w.merged(number) {
			complain("#%d is good and is not merged", number)
		}
	}
	for _, number := range w.bad {
		if w.merged(number) {
			complain("#%d is bad and is merged", number)
		}
	}
	if w.merged(w.pair[0]) == w.merged(w.pair[1]) {
		complain("of the pair that breaks together: merged %v %v", w.merged(w.pair[0]), w.merged(w.pair[1]))
	}
	// A commit of the branch is proven if a tree passed to which the merges that were
	// to come with it would lead.
	var passed []prowv1.ProwJob
	proven := map[string]bool{}
	runs := map[string][]prowv1.ProwJobState{}
	for _, j := range w.runs() {
		tree := w.treeOf(&j)
		same := tree
		if !w.speculates {
			same = j.Spec.Refs.String()
		}
		runs[same] = append(runs[same], j.Status.State)
		if j.Status.State == prowv1.SuccessState {
			passed, proven[tree] = append(passed, j), true
		}
	}
	for same, states := range runs {
		if n := len(slices.DeleteFunc(slices.Clone(states), func(s prowv1.ProwJobState) bool { return s != prowv1.SuccessState })); n > 1 || len(states) > 3 && w.speculates {
			complain("%s was tested again and again: %v", same, states)
		}
	}
	landed := map[string]bool{}
	for _, line := range strings.Split(w.git(w.clone, "log", "--first-parent", "--reverse", "--format=%H %P", w.start+"..origin/main"), "\n") {
		parts := strings.Fields(line)
		if len(parts) != 3 {
			continue // a person pushed it
		}
		commit, head := parts[0], parts[2]
		if landed[head] {
			complain("%s was merged twice", head)
		}
		landed[head] = true
		if proven[w.merge(commit)] || slices.ContainsFunc(passed, func(j prowv1.ProwJob) bool {
			all := shas(&j)
			rest := slices.DeleteFunc(slices.Clone(all), func(sha string) bool { return landed[sha] })
			return slices.Contains(all, head) && w.merge(commit, rest...) == w.treeOf(&j)
		}) {
			continue
		}
		complain("%s was merged, and nothing passed that it leads to", w.git(w.clone, "log", "-1", "--format=%s", commit))
	}
	return wrong
}

// TestAProcessThatIsKilledAnywhereMergesWhatIsProvenOnce kills processes at some of
// the calls that change anything, at every one with PROW_EVERY_CUT=1: before it takes
// effect, and after.
func TestAProcessThatIsKilledAnywhereMergesWhatIsProvenOnce(t *testing.T) {
	every := os.Getenv("PROW_EVERY_CUT") != ""
	for name, cfg := range map[string]string{"classic": baseConfig, "speculative": speculativeConfig} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := &cut{}
			w := newCrashWorld(t, cfg, whole)
			w.live()
			for _, wrong := range w.judge() {
				t.Errorf("without a crash: %s", wrong)
			}
			if whole.calls < 12 || t.Failed() {
				t.Fatalf("the scenario makes %d calls", whole.calls)
			}
			t.Logf("%d calls", whole.calls)
			for n := 1; n <= whole.calls; n++ {
				for _, after := range []bool{false, true} {
					if !every && (n%(whole.calls/4) != 2 || after != (n/(whole.calls/4)%2 == 0)) {
						continue
					}
					t.Run(fmt.Sprintf("at call %d, which takes effect %t", n, after), func(t *testing.T) {
						c := &cut{at: n, after: after}
						w := newCrashWorld(t, cfg, c)
						w.live()
						for _, wrong := range w.judge() {
							t.Error(wrong)
						}
						// How many calls there are depends on what ends first: near the end there
						// may be none any more.
						if c.calls < n && n <= whole.calls*4/5 {
							t.Errorf("it was not killed: it made %d calls", c.calls)
						}
					})
				}
			}
		})
	}
}
