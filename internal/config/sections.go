package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// SlogLevel is LogLevel for slog; levels that slog does not have become the
// nearest.
func (c *ProwConfig) SlogLevel() slog.Level {
	switch strings.ToLower(c.LogLevel) {
	case "trace", "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "fatal", "panic":
		return slog.LevelError
	}
	return slog.LevelInfo
}

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
