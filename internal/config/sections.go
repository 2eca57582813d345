package config

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	v1 "prow/api/prowjobs/v1"
)

// sectionContext is what the sections need to resolve and check themselves.
type sectionContext struct {
	re     *regexCache
	report fieldReporter // a rule is broken
	warn   fieldReporter // something deprecated, or without effect, is used
	now    time.Time
}

// resolve sets the defaults of all sections, prepares templates and
// expressions, and checks every rule that needs no jobs.
func (c *ProwConfig) resolve(s *sectionContext) {
	defaultTo(&c.ProwJobNamespace, "default")
	defaultTo(&c.PodNamespace, "default")
	defaultTo(&c.LogLevel, "info")
	defaultTo(&c.StatusErrorLink, "https://github.com/kubernetes/test-infra/issues")
	defaultDuration(&c.DefaultJobTimeout, 24*time.Hour)
	if !slices.Contains(logLevels, strings.ToLower(c.LogLevel)) {
		s.report("log_level", "found %q, expected one of %s", c.LogLevel, strings.Join(logLevels, ", "))
	}
	checkURL(s.report, "status_error_link", c.StatusErrorLink)
	c.Plank.resolve(s)
	c.Gerrit.resolve(s)
	c.GitHub.resolve(s)
	c.GitHubReporter.resolve(s)
	c.resolveJenkins(s)
	c.Deck.resolve(s)
	defaultDuration(&c.PushGateway.Interval, time.Minute)
	c.Sinker.resolve()
	c.Tide.resolve(s)
	c.BranchProtection.check(s)
	defaultDuration(&c.Moonraker.ClientTimeout, 10*time.Minute)
	c.InRepoConfig.resolve()
	c.resolvePubSub(s)
	c.ManagedWebhooks.check(s)
	c.resolveSlack(s)
	c.Gangway.check(s)
}

var logLevels = []string{"panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"}

// LinkURLParsed is the base of links for people, parsed.
func (g *GitHubOptions) LinkURLParsed() *url.URL { return g.linkURL }

func (g *GitHubOptions) resolve(s *sectionContext) {
	defaultTo(&g.LinkURL, "https://github.com")
	g.linkURL = checkURL(s.report, "github.link_url", g.LinkURL)
}

func (g *GitHubReporter) resolve(s *sectionContext) {
	if len(g.JobTypesToReport) == 0 {
		g.JobTypesToReport = []v1.ProwJobType{v1.PresubmitJob, v1.PostsubmitJob}
	}
	for i, t := range g.JobTypesToReport {
		if t != v1.PresubmitJob && t != v1.PostsubmitJob {
			s.report(fmt.Sprintf("github_reporter.job_types_to_report[%d]", i), "found %q, expected presubmit or postsubmit", t)
		}
	}
}

// Reports tells whether jobs of the type are reported to GitHub.
func (g *GitHubReporter) Reports(t v1.ProwJobType) bool {
	return slices.Contains(g.JobTypesToReport, t)
}

// NoComments tells whether a repository gets no comments.
func (g *GitHubReporter) NoComments(org, repo string) bool {
	return inRepoList(g.NoCommentRepos, org, repo)
}

// SummaryComment tells whether a repository gets one summary comment.
func (g *GitHubReporter) SummaryComment(org, repo string) bool {
	return inRepoList(g.SummaryCommentRepos, org, repo)
}

func (c *Controller) resolve(s *sectionContext, field string, funcs template.FuncMap) {
	if c.JobURLTemplate != "" {
		c.jobURLTemplate = checkTemplate(s.report, field+".job_url_template", "JobURL", c.JobURLTemplate, funcs)
	}
	if c.ReportTemplate != "" {
		if len(c.ReportTemplates) > 0 {
			s.report(field+".report_template", "found together with report_templates, expected only report_templates")
		} else {
			s.warn(field+".report_template", "deprecated; use report_templates with the key *")
			c.ReportTemplates, c.ReportTemplate = map[string]string{"*": c.ReportTemplate}, ""
		}
	}
	c.reportTemplates = make(map[string]*template.Template, len(c.ReportTemplates))
	for _, key := range slices.Sorted(maps.Keys(c.ReportTemplates)) {
		c.reportTemplates[key] = checkTemplate(s.report, field+".report_templates."+key, "Report", c.ReportTemplates[key], nil)
	}
	if c.MaxConcurrency < 0 {
		s.report(field+".max_concurrency", "found %d, expected 0 (no limit) or a positive number", c.MaxConcurrency)
	}
	if c.MaxGoroutines < 0 {
		s.report(field+".max_goroutines", "found %d, expected a positive number", c.MaxGoroutines)
	}
	defaultTo(&c.MaxGoroutines, 20)
}

func (p *Plank) resolve(s *sectionContext) {
	p.Controller.resolve(s, "plank", nil)
	defaultDuration(&p.PodPendingTimeout, 10*time.Minute)
	defaultDuration(&p.PodRunningTimeout, 48*time.Hour)
	defaultDuration(&p.PodUnscheduledTimeout, 5*time.Minute)
	if p.MaxRevivals == nil {
		p.MaxRevivals = new(int)
		*p.MaxRevivals = 3
	}
	if len(p.DefaultDecorationConfigsMap) > 0 && len(p.DefaultDecorationConfigEntries) > 0 {
		s.report("plank.default_decoration_configs", "found together with default_decoration_config_entries, expected one of them")
	}
	p.decorationDefaults = p.DefaultDecorationConfigEntries
	if len(p.DefaultDecorationConfigEntries) == 0 {
		for _, key := range bySpecificity(p.DefaultDecorationConfigsMap) {
			p.decorationDefaults = append(p.decorationDefaults, DecorationDefault{OrgRepo: key, Config: p.DefaultDecorationConfigsMap[key]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.JobURLPrefixConfig)) {
		checkURL(s.report, "plank.job_url_prefix_config."+key, p.JobURLPrefixConfig[key])
	}
}

// bySpecificity lists keys of the older maps of defaults: "", "*", orgs, then
// repositories, each in lexical order.
func bySpecificity[T any](m map[string]T) []string {
	rank := func(key string) int {
		switch {
		case key == "":
			return 0
		case key == "*":
			return 1
		case !strings.Contains(withoutScheme(key), "/"):
			return 2
		}
		return 3
	}
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

func (s *Sinker) resolve() {
	defaultDuration(&s.ResyncPeriod, time.Hour)
	defaultDuration(&s.MaxProwJobAge, 7*24*time.Hour)
	defaultDuration(&s.MaxPodAge, 24*time.Hour)
	defaultDuration(&s.TerminatedPodTTL, s.MaxPodAge.Duration)
}

func (g *Gerrit) resolve(s *sectionContext) {
	defaultDuration(&g.TickInterval, time.Minute)
	defaultTo(&g.RateLimit, 5)
	if g.DeckURL != "" {
		checkURL(s.report, "gerrit.deck_url", g.DeckURL)
	}
	if g.AllowedPresubmitTriggerRe != "" {
		var err error
		if g.allowedTrigger, err = s.re.compile(g.AllowedPresubmitTriggerRe); err != nil {
			s.report("gerrit.allowed_presubmit_trigger_re", "%v", err)
		}
	}
}

// IsAllowedPresubmitTrigger tells whether a comment may count as a command.
func (g *Gerrit) IsAllowedPresubmitTrigger(comment string) bool {
	return g.allowedTrigger == nil || g.allowedTrigger.MatchString(comment)
}

func (c *ProwConfig) resolveJenkins(s *sectionContext) {
	funcs := template.FuncMap{"replace": func(old, replacement, src string) string {
		return strings.ReplaceAll(src, old, replacement)
	}}
	for i := range c.JenkinsOperators {
		op := &c.JenkinsOperators[i]
		field := fmt.Sprintf("jenkins_operators[%d]", i)
		op.Controller.resolve(s, field, funcs)
		var err error
		if op.selector, err = labels.Parse(op.LabelSelector); err != nil {
			s.report(field+".label_selector", "found %q, expected a label selector: %v", op.LabelSelector, err)
		}
		switch n := len(c.JenkinsOperators); {
		case n == 1 && op.LabelSelector != "":
			s.report(field+".label_selector", "found %q, expected none, because there is only one operator", op.LabelSelector)
		case n > 1 && op.LabelSelector == "":
			s.report(field+".label_selector", "missing; with %d operators each needs one", n)
		}
	}
}

// Selector says which ProwJobs the controller owns.
func (j *JenkinsOperator) Selector() labels.Selector { return j.selector }

func (d *Deck) resolve(s *sectionContext) {
	defaultDuration(&d.TideUpdatePeriod, 10*time.Second)
	for i := range d.ExternalAgentLogs {
		log := &d.ExternalAgentLogs[i]
		field := fmt.Sprintf("deck.external_agent_logs[%d]", i)
		var err error
		if log.selector, err = labels.Parse(log.Selector); err != nil {
			s.report(field+".selector", "found %q, expected a label selector: %v", log.Selector, err)
		}
		log.urlTemplate = checkTemplate(s.report, field+".url_template", "URL", log.URLTemplate, nil)
	}
	d.resolveRerunAuth(s)
	if len(d.AdditionalAllowedBuckets) > 0 && !d.ValidatesBuckets() {
		s.report("deck.additional_allowed_buckets", "found together with buckets that are not checked, expected skip_storage_path_validation: false")
	}
	d.Spyglass.resolve(s)
}

func (d *Deck) resolveRerunAuth(s *sectionContext) {
	if len(d.RerunAuthConfigs) > 0 && len(d.DefaultRerunAuthConfigs) > 0 {
		s.report("deck.rerun_auth_configs", "found together with default_rerun_auth_configs, expected one of them")
	}
	d.rerunAuth = d.DefaultRerunAuthConfigs
	for i, entry := range d.DefaultRerunAuthConfigs {
		if err := entry.Config.Validate(); err != nil {
			s.report(fmt.Sprintf("deck.default_rerun_auth_configs[%d].rerun_auth_configs", i), "%v", err)
		}
	}
	for _, key := range bySpecificity(d.RerunAuthConfigs) {
		auth := d.RerunAuthConfigs[key]
		if err := auth.Validate(); err != nil {
			s.report("deck.rerun_auth_configs."+key, "%v", err)
		}
		d.rerunAuth = append(d.rerunAuth[:len(d.rerunAuth):len(d.rerunAuth)], RerunAuthEntry{OrgRepo: key, Config: &auth})
	}
}

// RerunAuth says who may run a job again, as far as the configuration of Deck
// decides it: the last entry that matches the repository and the cluster.
func (d *Deck) RerunAuth(spec *v1.ProwJobSpec) *v1.RerunAuthConfig {
	var repo string
	if refs := spec.MainRefs(); refs != nil {
		repo = refs.OrgRepoString()
	}
	var out *v1.RerunAuthConfig
	for _, entry := range d.rerunAuth {
		if entryMatches(entry.OrgRepo, entry.Cluster, repo, spec.Cluster) {
			out = entry.Config
		}
	}
	return out
}

// ValidatesBuckets tells whether requested buckets are checked: only if that
// was asked for.
func (d *Deck) ValidatesBuckets() bool {
	return d.SkipStoragePathValidation != nil && !*d.SkipStoragePathValidation
}

// IsHidden tells whether the jobs of a repository count as hidden.
func (d *Deck) IsHidden(org, repo string) bool { return inRepoList(d.HiddenRepos, org, repo) }

// legacyViewers are older names of lenses.
var legacyViewers = map[string]string{"build-log-viewer": "buildlog", "metadata-viewer": "metadata", "junit-viewer": "junit"}

func (sg *Spyglass) resolve(s *sectionContext) {
	const field = "deck.spyglass"
	if sg.SizeLimit < 0 {
		s.report(field+".size_limit", "found %d, expected a number of bytes", sg.SizeLimit)
	}
	defaultTo(&sg.SizeLimit, 100_000_000)
	for _, files := range slices.Sorted(maps.Keys(sg.Viewers)) {
		for _, viewer := range slices.Sorted(slices.Values(sg.Viewers[files])) {
			if name, renamed := legacyViewers[viewer]; renamed {
				viewer = name
			}
			s.warn(field+".viewers", "deprecated; use lenses for %s", viewer)
			sg.Lenses = append(sg.Lenses, LensFile{RequiredFiles: []string{files}, Lens: LensConfig{Name: viewer}})
		}
	}
	sg.Viewers = nil
	for i := range sg.Lenses {
		lens := &sg.Lenses[i]
		lens.required = compileAll(s, fmt.Sprintf("%s.lenses[%d].required_files", field, i), lens.RequiredFiles)
		lens.optional = compileAll(s, fmt.Sprintf("%s.lenses[%d].optional_files", field, i), lens.OptionalFiles)
		if lens.RemoteConfig != nil && lens.RemoteConfig.Endpoint != "" {
			checkURL(s.report, fmt.Sprintf("%s.lenses[%d].remote_config.endpoint", field, i), lens.RemoteConfig.Endpoint)
		}
	}
	for name, m := range map[string]*map[string]string{"gcs_browser_prefixes": &sg.GCSBrowserPrefixes, "gcs_browser_prefixes_by_bucket": &sg.GCSBrowserPrefixesByBucket} {
		if _, set := (*m)["*"]; !set {
			if *m == nil {
				*m = map[string]string{}
			}
			(*m)["*"] = sg.GCSBrowserPrefix
		} else if sg.GCSBrowserPrefix != "" {
			s.report(field+".gcs_browser_prefix", "found together with an entry * of %s, expected one of them", name)
		}
	}
	sg.GCSBrowserPrefix = ""
}

// Required and Optional are the expressions of the files of a lens.
func (l *LensFile) Required() []*regexp.Regexp { return l.required }

// Optional are the expressions of further files of a lens.
func (l *LensFile) Optional() []*regexp.Regexp { return l.optional }

// BrowserPrefix is the URL of the storage browser for the repository, else for
// the bucket, else for all; empty where none is configured.
func (sg *Spyglass) BrowserPrefix(org, repo, bucket string) string {
	for _, candidate := range []string{
		sg.GCSBrowserPrefixes[org+"/"+repo],
		sg.GCSBrowserPrefixes[org],
		sg.GCSBrowserPrefixesByBucket[bucket],
		sg.GCSBrowserPrefixes["*"],
	} {
		if candidate != "" {
			return candidate
		}
	}
	return sg.GCSBrowserPrefixesByBucket["*"]
}

// Matches tells whether the entry is for a job.
func (l *ExternalAgentLog) Matches(pj *v1.ProwJob) bool {
	return string(pj.Spec.Agent) == l.Agent && l.selector.Matches(labels.Set(pj.Labels))
}

// URLTemplateParsed is the template of the URL of a log.
func (l *ExternalAgentLog) URLTemplateParsed() *template.Template { return l.urlTemplate }

func compileAll(s *sectionContext, field string, exprs []string) []*regexp.Regexp {
	out := make([]*regexp.Regexp, 0, len(exprs))
	for i, expr := range exprs {
		re, err := s.re.compile(expr)
		if err != nil {
			s.report(fmt.Sprintf("%s[%d]", field, i), "%v", err)
			continue
		}
		out = append(out, re)
	}
	return out
}

func (c *InRepoConfig) resolve() {
	if c.AllowedClusters["*"] == nil {
		if c.AllowedClusters == nil {
			c.AllowedClusters = map[string][]string{}
		}
		c.AllowedClusters["*"] = []string{v1.DefaultClusterAlias}
	}
}

func (c *ProwConfig) resolvePubSub(s *sectionContext) {
	if len(c.PubSubSubscriptions) > 0 {
		if len(c.PubSubTriggers) > 0 {
			s.report("pubsub_subscriptions", "found together with pubsub_triggers, expected one of them")
			return
		}
		for _, project := range slices.Sorted(maps.Keys(c.PubSubSubscriptions)) {
			c.PubSubTriggers = append(c.PubSubTriggers, PubSubTrigger{
				Project: project, Topics: c.PubSubSubscriptions[project], AllowedClusters: []string{"*"},
			})
		}
		c.PubSubSubscriptions = nil
	}
	for i := range c.PubSubTriggers {
		defaultTo(&c.PubSubTriggers[i].MaxOutstandingMessages, 10)
	}
}

func (m *ManagedWebhooks) check(s *sectionContext) {
	for _, key := range slices.Sorted(maps.Keys(m.OrgRepoConfig)) {
		if created := m.OrgRepoConfig[key].TokenCreatedAfter; created.After(s.now) {
			s.report("managed_webhooks.org_repo_config."+key+".token_created_after", "found %s, expected a time that is not in the future", created.Format(time.RFC3339))
		}
	}
}

func (c *ProwConfig) resolveSlack(s *sectionContext) {
	for _, key := range slices.Sorted(maps.Keys(c.SlackReporterConfigs)) {
		report, field := c.SlackReporterConfigs[key], "slack_reporter_configs."+key
		defaultTo(&report.ReportTemplate, DefaultSlackTemplate)
		if report.Channel == "" {
			s.report(field+".channel", "missing, expected the name of a channel")
		}
		if t := checkTemplate(s.report, field+".report_template", "Slack", report.ReportTemplate, nil); t != nil {
			// An empty ProwJob has no refs: templates must guard against that.
			if err := t.Execute(discard{}, &v1.ProwJob{}); err != nil {
				s.report(field+".report_template", "the template fails on a job without refs: %v", err)
			}
		}
		c.SlackReporterConfigs[key] = report
	}
}

// SlackReportFor returns what is configured for jobs with the refs; ok is
// false where nothing is.
func (c *ProwConfig) SlackReportFor(refs *v1.Refs) (report SlackReport, ok bool) {
	if refs == nil {
		report, ok = c.SlackReporterConfigs["*"]
		return report, ok
	}
	return byRepo(c.SlackReporterConfigs, refs.Org, refs.Repo)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

var allDigits = regexp.MustCompile(`^[0-9]+$`)

func (g *Gangway) check(s *sectionContext) {
	seen := map[GCPClient]int{}
	for i, client := range g.AllowedAPIClients {
		field := fmt.Sprintf("gangway.allowed_api_clients[%d]", i)
		if client.GCP == nil {
			s.report(field, "missing gcp, expected a way to identify the client")
		} else {
			if t := client.GCP.EndpointAPIConsumerType; t != "PROJECT" {
				s.report(field+".gcp.endpoint_api_consumer_type", "found %q, expected PROJECT", t)
			}
			if n := client.GCP.EndpointAPIConsumerNumber; !allDigits.MatchString(n) {
				s.report(field+".gcp.endpoint_api_consumer_number", "found %q, expected a number", n)
			}
			if first, dup := seen[*client.GCP]; dup {
				s.report(field+".gcp", "the same client as allowed_api_clients[%d]", first)
			} else {
				seen[*client.GCP] = i
			}
		}
		if len(client.AllowedJobsFilters) == 0 {
			s.report(field+".allowed_jobs_filters", "missing, expected at least one filter")
		}
		for j, filter := range client.AllowedJobsFilters {
			if filter.TenantID == "" {
				s.report(fmt.Sprintf("%s.allowed_jobs_filters[%d].tenant_id", field, j), "missing, expected a tenant")
			}
		}
	}
}

func (bp *BranchProtection) check(s *sectionContext) {
	if len(bp.Include) > 0 && len(bp.Exclude) > 0 {
		s.report("branch-protection.include", "found together with exclude, expected one of them")
	}
}

// versionFromFile reads the revision from the file VERSION beside the main file.
func versionFromFile(configPath string) (string, error) {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(configPath), "VERSION"))
	if os.IsNotExist(err) {
		return "", nil
	}
	return string(b), err
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func defaultDuration(field **metav1.Duration, value time.Duration) {
	if *field == nil || (*field).Duration == 0 {
		*field = &metav1.Duration{Duration: value}
	}
}

func checkURL(report fieldReporter, field, raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		report(field, "found %q, expected a URL: %v", raw, err)
	}
	return u
}

func checkTemplate(report fieldReporter, field, name, text string, funcs template.FuncMap) *template.Template {
	t, err := template.New(name).Funcs(funcs).Parse(text)
	if err != nil {
		report(field, "not a Go template: %v", err)
		return nil
	}
	return t
}
