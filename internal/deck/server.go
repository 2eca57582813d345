package deck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/deck/lens"
	"prow/internal/deck/spyglass"
	"prow/internal/kube"
	"prow/internal/service"
	"prow/internal/storage"
	"prow/internal/storage/providers"
	"prow/internal/store"
)

// server answers requests.
type server struct {
	ctx     context.Context //nolint:containedctx // its end ends responses that would last for ever
	log     *slog.Logger
	config  *config.Watcher
	index   *index
	visible visibility
	// looks is the sight with the current configuration.
	looks atomic.Pointer[sight]
	pods  *pods
	live  *liveLogs
	lines *lineIndexes
	// searches has a place for each log that is being searched.
	searches chan struct{}
	// patience is how long a client may take for a part of a log.
	patience time.Duration
	// external fetches logs of other agents.
	external *http.Client
	storage  *storage.Opener
	tide     *tideAgent
	help     *helpAgent
	// deliveries is nil where nobody may see them.
	deliveries *deliveriesAgent
	access     *access
	builds     knownBuilds
	memory     recollection
	jobs       client.Client
	metrics    *service.HTTPMetrics
	pages      *pages
	now        func() time.Time
	// builtin are the lenses of this program by name, table what the configuration makes
	// of them.
	builtin  map[string]lens.Lens
	table    atomic.Pointer[knownTable]
	frames   *frames
	listings fileLists
	testGrid *testGrid
	// results are those of tests; grids has a place for each grid that is being made.
	results *testResults
	grids   chan struct{}

	// spyglass shows runs.
	spyglass bool
	// rerunCreates starts jobs that are run again.
	rerunCreates bool
	// gcsCookies lets links into Google's storage use the visitor's session there, gcsSigns
	// tells that they can be signed.
	gcsCookies, gcsSigns bool
	// pregenerated is the directory that stands for a cluster; empty where there is one.
	pregenerated pregenerated
	// overlay is the operator's directory of static files; nil without one.
	overlay fs.FS
	// redirectTo is the host to which plain HTTP is led; empty leads nowhere.
	redirectTo string
	// githubBase is where links to the forge lead.
	githubBase string
	// boot tells this process from others in tags of responses.
	boot string
}

func newServer(ctx context.Context, rt *service.Runtime, o *Options, cfg *config.Watcher, clusters kube.Clusters, kept *store.Store) (*server, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	jobs, err := client.New(clusters.Service(), client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("service cluster: %w", err)
	}
	build, err := newPods(clusters, func() string { return cfg.Get().PodNamespace })
	if err != nil {
		return nil, err
	}
	rendered, err := newPages()
	if err != nil {
		return nil, err
	}
	s := &server{
		ctx: ctx, log: rt.Log, config: cfg, index: newIndex(), pods: build, jobs: jobs, storage: o.Storage, pages: rendered,
		visible:  visibility{hiddenOnly: o.HiddenOnly, showHidden: o.ShowHidden, tenants: o.TenantIDs},
		live:     &liveLogs{open: build.stream, ctx: ctx, logs: map[containerID]*liveLog{}, most: cmp.Or(o.watchers, maxWatchers)},
		metrics:  newMetrics(rt.Metrics, cfg),
		now:      time.Now,
		spyglass: o.Spyglass,
		boot:     strconv.FormatUint(rand.Uint64(), 36),
	}
	s.index.bodies.store, s.index.keeps, s.index.log = kept, kept != nil, rt.Log
	s.memory.store, s.memory.log, s.memory.now = kept, rt.Log, s.now
	s.index.fetch = func(ctx context.Context, name string) (*v1.ProwJob, error) {
		pj := &v1.ProwJob{}
		return pj, jobs.Get(ctx, client.ObjectKey{Namespace: cfg.Get().ProwJobNamespace, Name: name}, pj)
	}
	s.builtin = lensMap(o.lenses())
	s.frames = newFrames(rt.Log, s.now, func() []spyglass.Entry { return s.lensTable().entries }, s.lensRun)
	if s.access, err = newAccess(ctx, rt, o, cfg); err != nil {
		return nil, err
	}
	s.results, s.grids = newTestResults(ctx, kept, rt.Log, s.now), make(chan struct{}, gridsAtOnce)
	s.results.open, s.results.list = s.open, s.list
	s.lines = newLineIndexes(ctx, rt.Log, s.open)
	s.patience = cmp.Or(o.patience, writePatience)
	s.searches, s.external = make(chan struct{}, maxSearches), newExternalLogs()
	s.pregenerated = pregenerated(o.PregeneratedData)
	s.gcsCookies, s.gcsSigns = o.GCSCookieAuth, o.Credentials.GCSFile != ""
	if o.StaticFiles != "" {
		s.overlay = os.DirFS(o.StaticFiles)
	}
	s.rerunCreates, s.redirectTo = o.RerunCreatesJob, o.RedirectHTTPTo
	s.githubBase = "https://" + o.GitHub.Host
	if o.AllowInsecure {
		s.githubBase = "http://" + o.GitHub.Host
	}
	s.live.over = func(id containerID) bool {
		pj := s.index.get(id.pod) // a pod is named like its job
		return pj == nil || pj.Complete()
	}
	s.live.ended = func(ctx context.Context, id containerID) bool { return s.live.over(id) || build.ended(ctx, id) }
	if s.storage == nil {
		s.storage = providers.New(o.Credentials)
	}
	s.testGrid = &testGrid{log: rt.Log, storage: s.storage, where: func() string { return cfg.Get().Deck.Spyglass.TestGridConfig }}
	if o.TideURL != "" {
		s.tide = newTideAgent(o.TideURL, func() time.Duration { return cfg.Get().Deck.TideUpdatePeriod.Duration }, rt.Log)
	}
	if o.HookURL != "" {
		s.help = &helpAgent{url: o.HookURL, now: time.Now, log: rt.Log}
	}
	if o.HookAdminTokenFile != "" {
		token, err := rt.Secrets.File(o.HookAdminTokenFile, nil)
		if err != nil {
			return nil, fmt.Errorf("--hook-admin-token-file: %w", err)
		}
		if s.deliveries, err = newDeliveriesAgent(o.HookURL, func() string { return token().Reveal() }); err != nil {
			return nil, fmt.Errorf("--hook-url: %w", err)
		}
	}
	return s, nil
}

// handler is everything that is served.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.listPage)
	mux.HandleFunc("/prowjobs.js", s.prowJobsJS)
	mux.HandleFunc("/data.js", s.dataJS)
	mux.HandleFunc("/badge.svg", s.badge)
	mux.HandleFunc("/log", s.logText)
	mux.HandleFunc("/config", s.configYAML)
	mux.HandleFunc("/plugin-config", s.pluginConfigYAML)
	if s.pregenerated == "" {
		mux.HandleFunc("/prowjob", s.prowJobYAML)
		mux.HandleFunc("/rerun", s.rerunJob)
		mux.HandleFunc("/abort", s.abortJob)
		mux.HandleFunc("GET /run/{prowjob}/rerun", s.rerunPage)
		mux.HandleFunc("GET /run/{prowjob}/abort", s.abortPage)
		mux.HandleFunc("/github-link", s.githubLink)
		mux.HandleFunc("/git-provider-link", s.providerLink)
	}
	mux.HandleFunc("/csrf.js", s.access.guard.Script)
	if sign := s.access.sign; sign != nil {
		mux.HandleFunc("GET /github-login", sign.StartGitHub)
		mux.HandleFunc("GET /github-login/redirect", sign.FinishGitHub)
		mux.HandleFunc("GET /oidc-login", sign.StartOIDC)
		mux.HandleFunc("GET /oidc-login/redirect", sign.FinishOIDC)
		mux.HandleFunc("GET /sign-in", s.signInPage)
		mux.HandleFunc("POST /sign-out", sign.SignOut)
		mux.HandleFunc("/pr", s.prPage)
		mux.HandleFunc("/pr-data.js", s.prDataJS)
	}
	mux.HandleFunc("/configured-jobs", s.configuredJobsPage)
	mux.HandleFunc("/configured-jobs/{path...}", s.configuredJobsPage)
	mux.HandleFunc("/plugin-help", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "command-help", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/command-help", s.commandsPage)
	mux.HandleFunc("/plugins", s.pluginsPage)
	if s.help != nil {
		mux.HandleFunc("/plugin-help.js", s.pluginHelpJS)
	}
	if s.deliveries != nil {
		mux.HandleFunc("GET /deliveries", s.deliveriesPage)
		mux.HandleFunc("GET /deliveries.js", s.deliveriesJS)
		mux.HandleFunc("POST /deliveries/{id}/replay", s.replayDelivery)
	}
	mux.HandleFunc("/tide", s.tidePage)
	mux.HandleFunc("/tide-history", s.tideHistoryPage)
	if s.tide != nil {
		mux.HandleFunc("/tide.js", s.tideJS)
		mux.HandleFunc("/tide-history.js", s.tideHistoryJS)
	}
	if s.spyglass {
		mux.HandleFunc("/view/{job...}", s.viewPage)
		mux.HandleFunc("/artifacts/{path...}", s.artifact)
		s.frames.routes(mux)
		mux.HandleFunc("/run/{prowjob}", s.runPage)
		mux.HandleFunc("/log/lines", s.logLines)
		mux.HandleFunc("/log/search", s.logSearch)
		mux.HandleFunc("/job-history/{path...}", s.jobHistoryPage)
		mux.HandleFunc("/test-grid/{path...}", s.testGridPage)
		mux.HandleFunc("/pr-history", s.prHistoryPage)
		mux.HandleFunc("/pr-history/{$}", s.prHistoryPage)
	}
	mux.HandleFunc("/static/{path...}", s.static)
	mux.HandleFunc("/favicon.ico", s.favicon)
	mux.HandleFunc("/branding.css", s.brandingCSS)
	if s.pregenerated != "" {
		mux.Handle("/", s.pregenerated.handler())
	} else {
		mux.HandleFunc("/", http.NotFound)
	}

	// What changes something is not done for a form of another site.
	return secured(s.policy, onlyHTTPS(s.redirectTo, compressed(s.access.guard.Handler(s.metrics.Measure(mux)))))
}

// sight decides who sees runs, as the configuration says it now.
func (s *server) sight() *sight {
	cfg := s.config.Get()
	if now := s.looks.Load(); now != nil && now.cfg == cfg {
		return now
	}
	fresh := &sight{cfg: cfg, visible: s.visible, decided: map[unique.Handle[shape]]bool{}}
	s.looks.Store(fresh)
	return fresh
}

// canSee tells whether a ProwJob is shown.
func (s *server) canSee(pj *v1.ProwJob) bool {
	sh := shapeOf(pj)
	return s.sight().decide(&sh)
}

// find returns a ProwJob that the viewer may see; nil if there is none.
func (s *server) find(name string) *v1.ProwJob {
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return nil
	}
	if pj := s.index.get(name); pj != nil && s.canSee(pj) {
		return pj
	}
	return nil
}

// fail answers with an error in plain words. Details that only the operator should
// see go to the log.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, text := http.StatusInternalServerError, "Something went wrong here; the log of this program tells what."
	switch {
	case errors.Is(err, errRefused):
		code, text = http.StatusForbidden, err.Error()
	case errors.Is(err, errNoLog), errors.Is(err, errSource), errors.Is(err, fs.ErrNotExist):
		code, text = http.StatusNotFound, "There is no such thing."
	case r.Context().Err() != nil:
		return
	default:
		s.log.ErrorContext(r.Context(), "a request failed", "path", r.URL.Path, "error", err)
	}
	noStore(w)
	http.Error(w, text, code)
}

// noStore marks a response as valid for this moment only.
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store, must-revalidate")
	w.Header().Set("Expires", "0")
}

// tagged sets the tag of a response that follows from the index, the configuration
// and the request, and answers with 304 if the client has that already.
func (s *server) tagged(w http.ResponseWriter, r *http.Request, more ...string) bool {
	version, _ := s.index.watch()
	problem := "ok"
	if s.config.Status().Err != nil {
		problem = "bad" + strconv.FormatInt(s.config.Status().FailingSince.UnixNano(), 36)
	}
	parts := append([]string{s.boot, strconv.FormatUint(version, 36), s.config.Get().Version(), problem, s.viewerTag(r)}, more...)
	tag := `W/"` + strings.Join(parts, "-") + `"`
	w.Header().Set("ETag", tag)
	for candidate := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimSpace(candidate) == tag {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}
