// Package plugintest runs a plugin against a real forge on real git repositories.
//
// A World is a forge with a small cast, a repository with an OWNERS file, and one
// plugin that gets the webhooks of the forge. What people do is done through the
// forge's API; afterwards the plugin has handled all that this caused, its own
// doings included, so that a test just looks at the outcome.
//
//	org o, whose members are boss (owner), alice, bob and bot
//	eve, who is nobody
//	o/r, where alice approves and bob reviews
package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v75/github"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/forge/local"
	"prow/internal/git"
	"prow/internal/inrepo"
	"prow/internal/kube"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Org and Repo are where everything happens.
const (
	Org  = "o"
	Repo = "r"
)

// patience bounds the wait for webhooks; only a broken test waits that long.
const patience = time.Minute

// Options say what a World has.
type Options struct {
	// Plugin gets the events.
	Plugin *plugins.Plugin
	// Config, Jobs and Plugins are the content of config.yaml, of a file with
	// jobs, and of plugins.yaml, which need not enable the plugin.
	Config, Jobs, Plugins string
	// Files are the files of the repository. Default: an OWNERS file.
	Files map[string]string
	// Transport, if set, carries the plugin's requests, so that it can count or break them.
	Transport func(http.RoundTripper) http.RoundTripper
	// ProwJobs, if set, wraps the client for ProwJobs.
	ProwJobs func(client.Client) client.Client
}

// World is a running forge with one plugin.
type World struct {
	tb     testing.TB
	opts   Options
	forge  *local.Forge
	addr   string
	bot    *github.Client
	cache  *git.Cache
	inRepo *config.InRepo
	owners *owners.Cache
	clone  string

	// Config and Plugins are the configurations.
	Config  *config.Config
	Plugins *pluginconfig.Configuration
	// ProwJobs holds what the plugin creates.
	ProwJobs client.Client
	// ConfigMapSize is the metric of that name.
	ConfigMapSize *prometheus.GaugeVec

	mu     sync.Mutex
	queue  []delivery
	news   chan struct{}
	marks  int
	first  string
	errs   []error
	events []string
	last   map[string]delivery
}

type delivery struct {
	id, kind string
	payload  []byte
}

// New starts a World that ends with the test.
func New(tb testing.TB, opts Options) *World {
	tb.Helper()
	if opts.Files == nil {
		opts.Files = map[string]string{"OWNERS": "approvers: [alice]\nreviewers: [bob]\n"}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	w := &World{tb: tb, opts: opts, addr: listener.Addr().String(), news: make(chan struct{}, 1), last: map[string]delivery{}}
	w.openForge(listener)
	w.configure()
	w.connect()
	w.clone = filepath.Join(tb.TempDir(), "clone")
	w.run(".", "clone", "--quiet", w.cloneURL(), w.clone)
	w.first = w.Push("main", opts.Files)
	w.Settle()
	return w
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func token(login string) string { return "token-of-" + login }

func (w *World) openForge(listener net.Listener) {
	hooks, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.tb, err)
	receiver := &http.Server{Handler: http.HandlerFunc(w.receive), ReadHeaderTimeout: patience}
	go func() { _ = receiver.Serve(hooks) }()
	w.forge, err = local.Open(context.Background(), local.Options{Dir: w.tb.TempDir(), BaseURL: "http://" + w.addr, AnonymousRead: true})
	must(w.tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.forge.Serve(ctx, listener) })
	running.Go(func() { _ = w.forge.Run(ctx) })
	w.tb.Cleanup(func() {
		cancel()
		running.Wait()
		_ = receiver.Close()
		if err := w.forge.Close(); err != nil {
			w.tb.Error(err)
		}
	})
	seed := local.Seed{
		Users: []local.User{{Login: "boss"}, {Login: "alice"}, {Login: "bob"}, {Login: "eve"}, {Login: "bot"}},
		Orgs: []local.SeedOrg{{
			Org:     local.Org{Login: Org},
			Members: map[string]string{"boss": "admin", "bot": "admin", "alice": "member", "bob": "member"},
			Teams:   []local.Team{{Name: "Sticky Ones", Members: []string{"alice"}}},
		}},
		Repos: []local.SeedRepo{{Repo: local.Repo{Owner: Org, Name: Repo}}},
		Hooks: []local.Hook{{Owner: Org, URL: "http://" + hooks.Addr().String()}},
	}
	for _, u := range seed.Users {
		seed.Tokens = append(seed.Tokens, local.SeedToken{Login: u.Login, Token: token(u.Login)})
	}
	must(w.tb, w.forge.Apply(w.tb.Context(), seed))
}

// configure loads the configurations as a component does.
func (w *World) configure() {
	dir := w.tb.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(w.tb, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	opts := config.DefaultOptions()
	opts.ConfigPath = write("config.yaml", w.opts.Config)
	opts.JobConfigPath = write("jobs.yaml", w.opts.Jobs)
	var err error
	w.Config, err = config.Load(w.tb.Context(), opts)
	must(w.tb, err)
	w.Plugins, err = pluginconfig.Load(w.tb.Context(), pluginconfig.Options{Path: write("plugins.yaml", w.opts.Plugins)})
	must(w.tb, err)
}

func (w *World) connect() {
	transport := http.DefaultTransport
	if w.opts.Transport != nil {
		transport = w.opts.Transport(transport)
	}
	var err error
	w.bot, err = github.NewClient(github.ClientOptions{
		Endpoints: []string{w.forge.APIURL()}, GraphQLEndpoint: w.forge.GraphQLURL(), UserAgent: "hook/v1", Transport: transport,
		Token: func() (string, error) { return token("bot"), nil },
		Retry: github.RetryPolicy{MaxRetries: 1, InitialDelay: time.Millisecond, Sleep: briefly},
	})
	must(w.tb, err)
	dir := w.tb.TempDir()
	runner := git.NewRunner(os.Environ(), git.Setting{Key: "user.name", Value: "prow"}, git.Setting{Key: "user.email", Value: "prow@localhost"})
	w.cache, err = git.NewCache(filepath.Join(dir, "mirrors"), filepath.Join(dir, "work"), func(_ context.Context, org, repo string) (git.Remote, error) {
		address := "http://" + w.addr + "/" + org + "/" + repo
		return git.Remote{URL: address, Settings: git.BasicAuth(address, "bot", token("bot"))}, nil
	}, runner)
	must(w.tb, err)
	w.inRepo = config.NewInRepo(inrepo.Trees{Cache: w.cache}, config.InRepoOptions{})
	w.owners = owners.NewCache(func(ctx context.Context, org, repo, commit string, read func(owners.Tree) error) error {
		return w.cache.Files(ctx, org, repo, commit, func(m *git.Mirror) error { return read(m) })
	})
	scheme, err := kube.NewScheme()
	must(w.tb, err)
	w.ProwJobs = fake.NewClientBuilder().WithScheme(scheme).Build()
	w.ConfigMapSize = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prow_configmap_size_bytes"}, []string{"name", "namespace"})
}

// receive takes a webhook.
func (w *World) receive(_ http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, delivery{r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-GitHub-Event"), payload})
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// Settle lets the plugin handle everything that has happened, and what that
// causes, until nothing happens any more.
func (w *World) Settle() {
	w.tb.Helper()
	for range 20 {
		if w.handleUntil(w.mark()) == 0 {
			return
		}
	}
	w.tb.Fatalf("the plugin answers its own doings without an end; the last events are %q", w.events[max(0, len(w.events)-20):])
}

// mark sets a status that tells apart what has happened before it: webhooks
// come in order.
func (w *World) mark() string {
	w.tb.Helper()
	w.marks++
	mark := fmt.Sprintf("mark-%d", w.marks)
	if w.first == "" {
		w.first = w.Head("main")
	}
	_, _, err := w.As("boss").Repositories.CreateStatus(w.tb.Context(), Org, Repo, w.first, &gogithub.RepoStatus{State: gogithub.Ptr("success"), Context: &mark})
	must(w.tb, err)
	return mark
}

// handleUntil handles deliveries until the mark, and tells how many there were.
func (w *World) handleUntil(mark string) (handled int) {
	w.tb.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for i, d := range queue {
			if d.kind == github.EventStatus && strings.Contains(string(d.payload), `"`+mark+`"`) {
				w.mu.Lock()
				w.queue = append(slices.Clone(queue[i+1:]), w.queue...)
				w.mu.Unlock()
				return handled
			}
			if d.kind == github.EventStatus && strings.Contains(string(d.payload), `"mark-`) {
				continue
			}
			handled++
			w.Handle(d.id, d.kind, d.payload)
		}
		select {
		case <-w.news:
		case <-deadline:
			w.tb.Fatalf("the forge did not tell of %s", mark)
		}
	}
}

// Handle gives a delivery to the plugin, as hook would.
func (w *World) Handle(id, kind string, payload []byte) {
	w.tb.Helper()
	event, err := github.ParseEvent(kind, id, payload)
	must(w.tb, err)
	if event == nil {
		return
	}
	var peek struct {
		Action string
		Sender struct{ Login string }
	}
	_ = json.Unmarshal(payload, &peek) // only for messages
	w.events = append(w.events, kind+"/"+peek.Action)
	if peek.Sender.Login != "bot" {
		w.last[kind], w.last[kind+"/"+peek.Action] = delivery{id, kind, payload}, delivery{id, kind, payload}
	}
	ctx, agent := w.tb.Context(), w.Agent(id)
	for _, b := range w.opts.Plugin.Bind(w.Config, plugins.Describe(kind, event)) {
		w.note(b.Run(ctx, agent))
	}
}

// note keeps an error of the plugin. Unless the test asks for it, it fails.
func (w *World) note(err error) {
	if err != nil {
		if len(w.errs) == 0 {
			w.tb.Cleanup(func() {
				if len(w.errs) > 0 {
					w.tb.Errorf("the plugin failed: %v", errors.Join(w.errs...))
				}
			})
		}
		w.errs = append(w.errs, err)
	}
}

// Errors are those of the plugin since the last call.
func (w *World) Errors() error {
	err := errors.Join(w.errs...)
	w.errs = nil
	return err
}

// Agent is what the plugin gets for a delivery.
func (w *World) Agent(delivery string) *plugins.Agent {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(w.tb.Output(), nil))
	}
	mine := w.bot.For(w.opts.Plugin.Name)
	jobs := w.ProwJobs
	if w.opts.ProwJobs != nil {
		jobs = w.opts.ProwJobs(jobs)
	}
	return &plugins.Agent{
		GitHub: mine, ProwJobs: jobs, InRepo: w.inRepo, Config: w.Config, Plugins: w.Plugins, Git: w.cache, Cluster: func(string) (client.Client, error) { return jobs, nil }, ConfigMapSize: w.ConfigMapSize, Delivery: delivery, Now: time.Now, Log: log,
		Owners: &owners.Client{Cache: w.owners, Forge: mine, Settings: plugins.OwnersSettings(w.Config, w.Plugins), Log: log},
	}
}

func (w *World) cloneURL() string {
	return "http://boss:" + token("boss") + "@" + w.addr + "/" + Org + "/" + Repo + ".git"
}

// run runs git in a directory.
func (w *World) run(dir string, args ...string) string {
	w.tb.Helper()
	cmd := exec.CommandContext(w.tb.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Boss", "GIT_AUTHOR_EMAIL=boss@example.com", "GIT_COMMITTER_NAME=Boss", "GIT_COMMITTER_EMAIL=boss@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Push adds a commit with files to a branch, which is made from main if there is
// none, and returns it. Files without content are removed.
func (w *World) Push(branch string, files map[string]string) string {
	w.tb.Helper()
	return w.Commit(branch, "Change "+branch, files)
}

// Commit is Push with a message.
func (w *World) Commit(branch, message string, files map[string]string) string {
	w.tb.Helper()
	from := "origin/main"
	w.run(w.clone, "fetch", "--quiet", "origin")
	if branch != "main" && strings.Contains(w.run(w.clone, "branch", "--remotes", "--list", "origin/"+branch), branch) {
		from = "origin/" + branch
	}
	w.run(w.clone, "checkout", "--quiet", "-B", branch, from)
	for name, content := range files {
		path := filepath.Join(w.clone, name)
		if content == "" {
			must(w.tb, os.RemoveAll(path))
			continue
		}
		must(w.tb, os.MkdirAll(filepath.Dir(path), 0o755))
		must(w.tb, os.WriteFile(path, []byte(content), 0o600))
	}
	w.run(w.clone, "add", "--all")
	w.run(w.clone, "commit", "--quiet", "--allow-empty", "-m", message)
	return w.pushed(branch)
}

// Reword replaces the last commit of a branch by one with the same files.
func (w *World) Reword(branch string) string {
	w.tb.Helper()
	return w.Amend(branch, "Reworded")
}

// Amend is Reword with a message.
func (w *World) Amend(branch, message string) string {
	w.tb.Helper()
	w.run(w.clone, "checkout", "--quiet", branch)
	w.run(w.clone, "commit", "--quiet", "--amend", "--allow-empty", "-m", message)
	return w.pushed(branch)
}

// MergeInto merges a branch into another with a merge commit.
func (w *World) MergeInto(branch, other string) string {
	w.tb.Helper()
	w.run(w.clone, "fetch", "--quiet", "origin")
	w.run(w.clone, "checkout", "--quiet", branch)
	w.run(w.clone, "merge", "--quiet", "--no-ff", "-m", "Merge "+other, "origin/"+other)
	return w.pushed(branch)
}

// Rebase puts the commits of a branch on top of another.
func (w *World) Rebase(branch, other string) string {
	w.tb.Helper()
	w.run(w.clone, "checkout", "--quiet", branch)
	w.run(w.clone, "rebase", "--quiet", "origin/"+other)
	return w.pushed(branch)
}

// Parent is the first parent of a commit.
func (w *World) Parent(commit string) string {
	w.tb.Helper()
	return w.run(w.clone, "rev-parse", commit+"^")
}

func (w *World) pushed(branch string) string {
	w.tb.Helper()
	w.run(w.clone, "push", "--quiet", "--force", "origin", branch)
	sha := w.run(w.clone, "rev-parse", "HEAD")
	w.Settle()
	return sha
}

// DeleteBranch deletes a branch.
func (w *World) DeleteBranch(branch string) {
	w.tb.Helper()
	w.run(w.clone, "push", "--quiet", "origin", ":"+branch)
	w.Settle()
}

// Head is the commit of a branch.
func (w *World) Head(branch string) string {
	w.tb.Helper()
	ref, _, err := w.As("boss").Git.GetRef(w.tb.Context(), Org, Repo, "heads/"+branch)
	must(w.tb, err)
	return ref.GetObject().GetSHA()
}

// As is a client of a person.
func (w *World) As(login string) *gogithub.Client {
	w.tb.Helper()
	c, err := gogithub.NewClient(&http.Client{Timeout: patience}).WithAuthToken(token(login)).WithEnterpriseURLs("http://"+w.addr, "http://"+w.addr)
	must(w.tb, err)
	return c
}

// Pull opens a pull request of a branch to main and returns its number.
func (w *World) Pull(login, branch, title, body string) int {
	w.tb.Helper()
	return w.OpenPull(login, gogithub.NewPullRequest{Head: &branch, Title: &title, Body: &body})
}

// OpenPull opens a pull request, to main unless it says otherwise.
func (w *World) OpenPull(login string, pull gogithub.NewPullRequest) int {
	w.tb.Helper()
	if pull.Base == nil {
		pull.Base = gogithub.Ptr("main")
	}
	pr, _, err := w.As(login).PullRequests.Create(w.tb.Context(), Org, Repo, &pull)
	must(w.tb, err)
	w.Settle()
	return pr.GetNumber()
}

// EditPull changes title, body, base or state of a pull request.
func (w *World) EditPull(login string, number int, change gogithub.PullRequest) {
	w.tb.Helper()
	_, _, err := w.As(login).PullRequests.Edit(w.tb.Context(), Org, Repo, number, &change)
	must(w.tb, err)
	w.Settle()
}

// Collaborator makes somebody a collaborator, who accepts the invitation if there
// has to be one.
func (w *World) Collaborator(login, permission string) {
	w.tb.Helper()
	invitation, _, err := w.As("boss").Repositories.AddCollaborator(w.tb.Context(), Org, Repo, login, &gogithub.RepositoryAddCollaboratorOptions{Permission: permission})
	must(w.tb, err)
	if invitation.GetID() != 0 {
		_, err = w.As(login).Users.AcceptInvitation(w.tb.Context(), invitation.GetID())
		must(w.tb, err)
	}
	w.Settle()
}

// Draft converts a pull request to a draft, or marks it as ready.
func (w *World) Draft(login string, number int, draft bool) {
	w.tb.Helper()
	pr, _, err := w.As(login).PullRequests.Get(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	mutation, input := "markPullRequestReadyForReview", "MarkPullRequestReadyForReviewInput"
	if draft {
		mutation, input = "convertPullRequestToDraft", "ConvertPullRequestToDraftInput"
	}
	c, err := github.NewClient(github.ClientOptions{
		Endpoints: []string{w.forge.APIURL()}, GraphQLEndpoint: w.forge.GraphQLURL(), UserAgent: "test/v1",
		Token: func() (string, error) { return token(login), nil },
	})
	must(w.tb, err)
	query := fmt.Sprintf("mutation($i:%s!){%s(input:$i){pullRequest{isDraft}}}", input, mutation)
	must(w.tb, c.Query(w.tb.Context(), Org, query, map[string]any{"i": map[string]any{"pullRequestId": pr.GetNodeID()}}, &struct{}{}))
	w.Settle()
}

// Issue opens an issue.
func (w *World) Issue(login, title, body string) int {
	w.tb.Helper()
	issue, _, err := w.As(login).Issues.Create(w.tb.Context(), Org, Repo, &gogithub.IssueRequest{Title: &title, Body: &body})
	must(w.tb, err)
	w.Settle()
	return issue.GetNumber()
}

// Comment comments and returns the id of the comment.
func (w *World) Comment(login string, number int, body string) int64 {
	w.tb.Helper()
	c, _, err := w.As(login).Issues.CreateComment(w.tb.Context(), Org, Repo, number, &gogithub.IssueComment{Body: &body})
	must(w.tb, err)
	w.Settle()
	return c.GetID()
}

// EditComment replaces the text of a comment.
func (w *World) EditComment(login string, id int64, body string) {
	w.tb.Helper()
	_, _, err := w.As(login).Issues.EditComment(w.tb.Context(), Org, Repo, id, &gogithub.IssueComment{Body: &body})
	must(w.tb, err)
	w.Settle()
}

// Review reviews; event is APPROVE, REQUEST_CHANGES or COMMENT.
func (w *World) Review(login string, number int, event, body string) int64 {
	w.tb.Helper()
	r, _, err := w.As(login).PullRequests.CreateReview(w.tb.Context(), Org, Repo, number, &gogithub.PullRequestReviewRequest{Event: &event, Body: &body})
	must(w.tb, err)
	w.Settle()
	return r.GetID()
}

// AddLabel and RemoveLabel change the labels of an issue or pull request.
func (w *World) AddLabel(login string, number int, label string) {
	w.tb.Helper()
	_, _, err := w.As(login).Issues.AddLabelsToIssue(w.tb.Context(), Org, Repo, number, []string{label})
	must(w.tb, err)
	w.Settle()
}

// RemoveLabel takes a label away.
func (w *World) RemoveLabel(login string, number int, label string) {
	w.tb.Helper()
	_, err := w.As(login).Issues.RemoveLabelForIssue(w.tb.Context(), Org, Repo, number, label)
	must(w.tb, err)
	w.Settle()
}

// Status sets a status of a commit.
func (w *World) Status(sha, name, state string) {
	w.tb.Helper()
	_, _, err := w.As("boss").Repositories.CreateStatus(w.tb.Context(), Org, Repo, sha, &gogithub.RepoStatus{State: &state, Context: &name})
	must(w.tb, err)
	w.Settle()
}

// Statuses are the newest statuses of a commit by context, as "state: description".
func (w *World) Statuses(sha string) map[string]string {
	w.tb.Helper()
	combined, err := w.bot.GetCombinedStatus(w.tb.Context(), Org, Repo, sha)
	must(w.tb, err)
	out := map[string]string{}
	for _, s := range combined.Statuses {
		if !strings.HasPrefix(s.Context, "mark-") {
			out[s.Context] = s.State + ": " + s.Description
		}
	}
	return out
}

// Labels are the labels of an issue or pull request, sorted and joined by commas.
func (w *World) Labels(number int) string {
	w.tb.Helper()
	labels, err := w.bot.GetIssueLabels(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	var names []string
	for _, l := range labels {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// BotComments are the texts of the bot's comments, the oldest first.
func (w *World) BotComments(number int) []string {
	w.tb.Helper()
	var out []string
	for _, c := range w.Comments(number) {
		if c.User.Login == "bot" {
			out = append(out, c.Body)
		}
	}
	return out
}

// Comments are all comments of an issue or pull request, the oldest first.
func (w *World) Comments(number int) []github.IssueComment {
	w.tb.Helper()
	comments, err := w.bot.ListIssueComments(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	return comments
}

// WantComments checks that the bot's comments contain these texts, one each.
func (w *World) WantComments(number int, want ...string) {
	w.tb.Helper()
	got := w.BotComments(number)
	if !slices.EqualFunc(got, want, strings.Contains) {
		w.tb.Errorf("comments of the bot:\n%s\nwant %d with:\n%s", strings.Join(got, "\n----\n"), len(want), strings.Join(want, "\n"))
	}
}

// WantLabels checks the labels, given in order and joined by commas.
func (w *World) WantLabels(number int, want string) {
	w.tb.Helper()
	if got := w.Labels(number); got != want {
		w.tb.Errorf("labels %q, want %q", got, want)
	}
}

// Jobs are the ProwJobs in order of their names.
func (w *World) Jobs() []prowv1.ProwJob {
	w.tb.Helper()
	var list prowv1.ProwJobList
	must(w.tb, w.ProwJobs.List(w.tb.Context(), &list))
	slices.SortFunc(list.Items, func(a, b prowv1.ProwJob) int { return strings.Compare(a.Spec.Job+a.Name, b.Spec.Job+b.Name) })
	return list.Items
}

// TakeJobs is "name" or, where it is not triggered, "name:state" of all ProwJobs,
// sorted and joined by commas, and deletes them.
func (w *World) TakeJobs() string {
	w.tb.Helper()
	var names []string
	for _, pj := range w.Jobs() {
		name := pj.Spec.Job
		if pj.Status.State != prowv1.TriggeredState {
			name += ":" + string(pj.Status.State)
		}
		names = append(names, name)
		must(w.tb, w.ProwJobs.Delete(w.tb.Context(), &pj))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// WantJobs checks TakeJobs.
func (w *World) WantJobs(want string) {
	w.tb.Helper()
	if got := w.TakeJobs(); got != want {
		w.tb.Errorf("jobs %q, want %q", got, want)
	}
}

// HandleAgain gives the last delivery of a kind, or of a kind and an action
// ("pull_request/opened"), to the plugin once more, as after a crash in the middle
// of it. What the bot itself caused does not count.
func (w *World) HandleAgain(kind string) {
	w.tb.Helper()
	d, ok := w.last[kind]
	if !ok {
		w.tb.Fatalf("there was no delivery of kind %s", kind)
	}
	w.Handle(d.id, d.kind, d.payload)
	w.Settle()
}

// Team makes a team of the org.
func (w *World) Team(name string, members ...string) {
	w.tb.Helper()
	must(w.tb, w.forge.CreateTeam(w.tb.Context(), Org, local.Team{Name: name, Members: members}))
	w.Settle()
}

// RepoLabels adds labels to those the repository has.
func (w *World) RepoLabels(names ...string) {
	w.tb.Helper()
	for _, name := range names {
		_, _, err := w.As("boss").Issues.CreateLabel(w.tb.Context(), Org, Repo, &gogithub.Label{Name: &name, Color: gogithub.Ptr("ededed")})
		must(w.tb, err)
	}
	w.Settle()
}

// WantAssignees checks who is assigned, given in order and joined by commas.
func (w *World) WantAssignees(number int, want string) {
	w.tb.Helper()
	issue, err := w.bot.GetIssue(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	var names []string
	for _, u := range issue.Assignees {
		names = append(names, u.Login)
	}
	slices.Sort(names)
	if got := strings.Join(names, ","); got != want {
		w.tb.Errorf("assignees %q, want %q", got, want)
	}
}

// WantReviewers checks whose review is requested, given in order and joined by
// commas; a team is org/slug.
func (w *World) WantReviewers(number int, want string) {
	w.tb.Helper()
	pr, err := w.bot.GetPullRequest(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	var names []string
	for _, u := range pr.RequestedReviewers {
		names = append(names, u.Login)
	}
	for _, team := range pr.RequestedTeams {
		names = append(names, Org+"/"+team.Slug)
	}
	slices.Sort(names)
	if got := strings.Join(names, ","); got != want {
		w.tb.Errorf("requested reviews of %q, want %q", got, want)
	}
}

// CloseIssue closes an issue or pull request.
func (w *World) CloseIssue(login string, number int) {
	w.tb.Helper()
	_, _, err := w.As(login).Issues.Edit(w.tb.Context(), Org, Repo, number, &gogithub.IssueRequest{State: gogithub.Ptr("closed")})
	must(w.tb, err)
	w.Settle()
}

// WantTitle checks the title of an issue or pull request.
func (w *World) WantTitle(number int, want string) {
	w.tb.Helper()
	issue, err := w.bot.GetIssue(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	if issue.Title != want {
		w.tb.Errorf("title %q, want %q", issue.Title, want)
	}
}

// WantState checks whether an issue or pull request is open or closed.
func (w *World) WantState(number int, want string) {
	w.tb.Helper()
	issue, err := w.bot.GetIssue(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	if issue.State != want {
		w.tb.Errorf("state %q, want %q", issue.State, want)
	}
}

// Milestones makes open milestones of the repository.
func (w *World) Milestones(titles ...string) {
	w.tb.Helper()
	for _, title := range titles {
		_, _, err := w.As("boss").Issues.CreateMilestone(w.tb.Context(), Org, Repo, &gogithub.Milestone{Title: &title})
		must(w.tb, err)
	}
	w.Settle()
}

// WantMilestone checks the milestone of an issue or pull request, "" being none.
func (w *World) WantMilestone(number int, want string) {
	w.tb.Helper()
	issue, err := w.bot.GetIssue(w.tb.Context(), Org, Repo, number)
	must(w.tb, err)
	got := ""
	if issue.Milestone != nil {
		got = issue.Milestone.Title
	}
	if got != want {
		w.tb.Errorf("milestone %q, want %q", got, want)
	}
}

// Merge merges a pull request with a merge commit.
func (w *World) Merge(login string, number int) {
	w.tb.Helper()
	_, _, err := w.As(login).PullRequests.Merge(w.tb.Context(), Org, Repo, number, "", nil)
	must(w.tb, err)
	w.Settle()
}

// WantBranch checks whether the repository has a branch.
func (w *World) WantBranch(branch string, want bool) {
	w.tb.Helper()
	got := w.run(".", "ls-remote", "--heads", w.cloneURL(), "refs/heads/"+branch) != ""
	if got != want {
		w.tb.Errorf("branch %s: there %v, want %v", branch, got, want)
	}
}

// WantStatuses checks the newest statuses of a commit, as Statuses tells them.
func (w *World) WantStatuses(sha string, want map[string]string) {
	w.tb.Helper()
	if got := w.Statuses(sha); !maps.Equal(got, want) {
		w.tb.Errorf("statuses %q, want %q", got, want)
	}
}

// CheckRun makes a check run that has ended.
func (w *World) CheckRun(sha, name, conclusion string) {
	w.tb.Helper()
	_, _, err := w.As("bot").Checks.CreateCheckRun(w.tb.Context(), Org, Repo, gogithub.CreateCheckRunOptions{
		Name: name, HeadSHA: sha, Status: gogithub.Ptr("completed"), Conclusion: &conclusion,
	})
	must(w.tb, err)
	w.Settle()
}

// WantCheckRuns checks the newest check runs of a commit by name, as "conclusion: title".
func (w *World) WantCheckRuns(sha string, want map[string]string) {
	w.tb.Helper()
	runs, err := w.bot.ListCheckRuns(w.tb.Context(), Org, Repo, sha)
	must(w.tb, err)
	got, newest := map[string]string{}, map[string]int64{}
	for _, run := range runs {
		if run.ID >= newest[run.Name] {
			newest[run.Name], got[run.Name] = run.ID, run.Conclusion+": "+run.Output.Title
		}
	}
	if !maps.Equal(got, want) {
		w.tb.Errorf("check runs %q, want %q", got, want)
	}
}

// DescribedStatus sets a status of a commit with a description.
func (w *World) DescribedStatus(sha, name, state, description string) {
	w.tb.Helper()
	_, _, err := w.As("boss").Repositories.CreateStatus(w.tb.Context(), Org, Repo, sha, &gogithub.RepoStatus{State: &state, Context: &name, Description: &description})
	must(w.tb, err)
	w.Settle()
}

// briefly stands for waits of the plugin's client: the forge here is quick.
func briefly(ctx context.Context, _ time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}
