package tide

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"prow/internal/config"
	"prow/internal/tide/planner"
)

// maxDependencies bounds how many pull requests one may name.
const maxDependencies = 16

// openAge is how long it is believed that a pull request is not merged.
const openAge = time.Minute

// dependsLine is how a description names what must be merged before: org/repo#1, #1
// or the address of the page.
var dependsLine = regexp.MustCompile(`(?im)^[ \t]*depends-on:[ \t]*(\S+)[ \t]*\r?$`)

var dependsName = regexp.MustCompile(`^(?:([\w.-]+)/([\w.-]+))?#(\d{1,9})$`)

// prName names a pull request of one instance.
type prName struct {
	org, repo string
	number    int
}

func (n prName) String() string { return prKey(n.org, n.repo, n.number) }

// dependencies are the pull requests that a description names, each once.
func dependencies(pr *PullRequest) []prName {
	var out []prName
	for _, m := range dependsLine.FindAllStringSubmatch(pr.Body, -1) {
		name, ok := parseDependency(pr, m[1])
		if !ok || name == (prName{pr.Org, pr.Repo, pr.Number}) || slices.Contains(out, name) {
			continue
		}
		if out = append(out, name); len(out) == maxDependencies {
			break
		}
	}
	return out
}

func parseDependency(pr *PullRequest, text string) (prName, bool) {
	if m := dependsName.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[3])
		if m[1] == "" {
			return prName{pr.Org, pr.Repo, n}, err == nil && n > 0
		}
		return prName{m[1], m[2], n}, err == nil && n > 0
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return prName{}, false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 4 || parts[2] != "pull" {
		return prName{}, false
	}
	n, err := strconv.Atoi(parts[3])
	return prName{parts[0], parts[1], n}, err == nil && n > 0
}

// Standing is what has become of a pull request.
type Standing struct {
	Merged bool
	// Trouble says why it will not be merged by itself; empty where it is open.
	Trouble string
}

// standings remembers what has become of pull requests: merged ones for ever, the
// others for a while.
type standings struct {
	mu    sync.Mutex
	known map[prName]knownStanding
}

type knownStanding struct {
	Standing
	at time.Time
}

// maxStandings bounds how many are remembered.
const maxStandings = 4096

func (s *standings) of(name prName, now time.Time, ask func() (Standing, error)) (Standing, error) {
	s.mu.Lock()
	have, ok := s.known[name]
	s.mu.Unlock()
	if ok && (have.Merged || now.Sub(have.at) < openAge) {
		return have.Standing, nil
	}
	found, err := ask()
	if err != nil {
		return Standing{}, err
	}
	s.note(name, found, now)
	return found, nil
}

// note remembers what has become of a pull request.
func (s *standings) note(name prName, found Standing, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxStandings {
		s.known = map[prName]knownStanding{}
	}
	s.known[name] = knownStanding{found, now}
}

// dependsOn finds out about the pull requests that one depends on. Only those of
// repositories that are merged here are looked at, so that nobody learns about
// others by naming them.
func (s *Syncer) dependsOn(ctx context.Context, cfg *config.Config, p *pool, pr *PullRequest) []planner.Dependency {
	var out []planner.Dependency
	for _, name := range dependencies(pr) {
		d := planner.Dependency{Name: name.String()}
		other := p.pr(name.number)
		switch {
		case name.org == p.Org && name.repo == p.Repo && other != nil:
			head := other.head()
			d.Head = &head
		case len(cfg.Tide.Queries.ForRepo(name.org, name.repo)) == 0:
			d.Trouble = "is not in a repository that is merged here"
		default:
			standing, err := s.standings.of(name, s.Now(), func() (Standing, error) { return s.Provider.Standing(ctx, name.org, name.repo, name.number) })
			if err != nil {
				s.Log.WarnContext(ctx, "it is not known what has become of a pull request that another one depends on", "pr", pr.key(), "depends-on", d.Name, "error", err)
				standing.Trouble = "cannot be read at the moment"
			}
			d.Merged, d.Trouble = standing.Merged, standing.Trouble
		}
		out = append(out, d)
	}
	return out
}
