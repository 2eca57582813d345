package apimetrics

import "strings"

// templates are the paths of GitHub's API that metrics tell apart. An element
// that begins with a colon stands for any; with two colons it stands for all
// that is left of the path, slashes included, up to what follows it.
var templates = []string{
	"/", "/graphql", "/meta", "/rate_limit", "/emojis",
	"/app", "/app/installations", "/app/installations/:id", "/app/installations/:id/access_tokens",
	"/app/hook/config", "/app/hook/deliveries", "/app/hook/deliveries/:id", "/app/hook/deliveries/:id/attempts",
	"/installation/repositories", "/applications/:id/token",
	"/user", "/user/repos", "/user/orgs", "/user/teams", "/user/emails", "/user/memberships/orgs", "/user/memberships/orgs/:orgname",
	"/user/repository_invitations", "/user/repository_invitations/:id", "/user/:id", "/user/:id/repos",
	"/users/:username", "/users/:username/repos", "/users/:username/orgs", "/users/:username/installation",
	"/search/issues", "/search/repositories", "/search/code", "/search/commits", "/search/users",
	"/teams/:id", "/teams/:id/members", "/teams/:id/memberships/:user", "/teams/:id/repos", "/teams/:id/repos/:owner/:repo", "/teams/:id/invitations",
	"/projects/:id", "/projects/:id/columns", "/projects/columns/:id", "/projects/columns/:id/cards",
	"/projects/columns/cards/:id", "/projects/columns/cards/:id/moves",
}

// orgTemplates follow /orgs/:orgname and /organizations/:orgId.
var orgTemplates = []string{
	"", "/failed_invitations", "/hooks", "/hooks/:id", "/hooks/:id/deliveries", "/hooks/:id/deliveries/:id", "/hooks/:id/deliveries/:id/attempts", "/hooks/:id/pings",
	"/installation", "/installations", "/invitations", "/invitations/:id", "/issues", "/members", "/members/:login", "/memberships/:login",
	"/projects", "/repos", "/outside_collaborators", "/outside_collaborators/:login", "/security-managers", "/rulesets", "/rulesets/:id",
	"/teams", "/teams/:team", "/teams/:team/invitations", "/teams/:team/members", "/teams/:team/memberships/:login",
	"/teams/:team/repos", "/teams/:team/repos/:owner/:repo", "/teams/:team/teams",
	"/team/:id", "/team/:id/members", "/team/:id/memberships/:login", "/team/:id/repos", "/team/:id/repos/:owner/:repo", "/team/:id/invitations",
}

// repoTemplates follow /repos/:owner/:repo and /repositories/:repoId.
var repoTemplates = []string{
	"", "/actions/runs", "/actions/runs/:runId", "/actions/runs/:runId/jobs", "/actions/runs/:runId/rerun", "/actions/runs/:runId/rerun-failed-jobs",
	"/actions/runs/:runId/approve", "/actions/runs/:runId/cancel", "/actions/workflows", "/actions/workflows/:id/runs",
	"/assignees", "/assignees/:login", "/autolinks",
	"/branches", "/branches/:branch", "/branches/:branch/protection", "/branches/:branch/protection/required_status_checks",
	"/branches/:branch/protection/required_status_checks/contexts", "/branches/:branch/protection/required_pull_request_reviews",
	"/branches/:branch/protection/required_signatures", "/branches/:branch/protection/enforce_admins",
	"/branches/:branch/protection/restrictions", "/branches/:branch/protection/restrictions/users", "/branches/:branch/protection/restrictions/teams",
	"/branches/:branch/protection/restrictions/apps", "/branches/:branch/rename",
	"/check-runs", "/check-runs/:checkRunId", "/check-runs/:checkRunId/annotations", "/check-runs/:checkRunId/rerequest", "/check-suites/:id", "/check-suites/:id/check-runs", "/check-suites/:id/rerequest",
	"/collaborators", "/collaborators/:login", "/collaborators/:login/permission",
	"/comments/:commentId", "/comments/:commentId/reactions",
	"/commits", "/commits/:sha", "/commits/:sha/check-runs", "/commits/:sha/check-suites", "/commits/:sha/comments", "/commits/:sha/pulls", "/commits/:sha/status", "/commits/:sha/statuses",
	"/compare/::range", "/contents", "/contents/::path", "/contributors", "/deployments", "/deployments/:id", "/deployments/:id/statuses", "/dispatches", "/events", "/forks",
	"/git/blobs/:sha", "/git/commits", "/git/commits/:sha", "/git/matching-refs/::ref", "/git/ref/::ref", "/git/refs", "/git/refs/heads/::ref", "/git/refs/tags/::ref", "/git/refs/::ref", "/git/tags", "/git/tags/:sha", "/git/trees", "/git/trees/:sha",
	"/hooks", "/hooks/:id", "/hooks/:id/deliveries", "/hooks/:id/deliveries/:id", "/hooks/:id/deliveries/:id/attempts", "/hooks/:id/pings", "/installation",
	"/invitations", "/invitations/:id",
	"/issues", "/issues/:issueId", "/issues/:issueId/assignees", "/issues/:issueId/comments", "/issues/:issueId/events", "/issues/:issueId/labels",
	"/issues/:issueId/labels/::labelId", "/issues/:issueId/lock", "/issues/:issueId/reactions", "/issues/:issueId/timeline",
	"/issues/comments", "/issues/comments/:commentId", "/issues/comments/:commentId/reactions", "/issues/events", "/issues/events/:eventId",
	"/keys", "/keys/:id", "/labels", "/labels/::labelId", "/languages", "/license", "/merges", "/milestones", "/milestones/:milestone", "/projects",
	"/pulls", "/pulls/:pullId", "/pulls/:pullId/comments", "/pulls/:pullId/commits", "/pulls/:pullId/files", "/pulls/:pullId/merge",
	"/pulls/:pullId/requested_reviewers", "/pulls/:pullId/reviews", "/pulls/:pullId/reviews/:reviewId", "/pulls/:pullId/reviews/:reviewId/comments",
	"/pulls/:pullId/reviews/:reviewId/dismissals", "/pulls/:pullId/reviews/:reviewId/events", "/pulls/:pullId/update-branch",
	"/pulls/comments", "/pulls/comments/:commentId", "/pulls/comments/:commentId/reactions", "/pulls/comments/:commentId/replies",
	"/readme", "/releases", "/releases/:id", "/releases/latest", "/releases/tags/::tag", "/rulesets", "/rulesets/:id", "/rules/branches/::branch",
	"/stargazers", "/statuses/:sha", "/subscribers", "/subscription", "/tags", "/tarball/::ref", "/teams", "/topics", "/transfer", "/zipball/::ref",
}

// unmatched stands for paths that are not among the templates.
const unmatched = "unmatched"

// node is an element of the tree of templates.
type node struct {
	literal map[string]*node
	// variable takes any element, rest all that are left.
	variable, rest *node
	// name is the template that ends here.
	name string
}

// Paths maps paths to templates, so that metrics have few labels.
type Paths struct{ root node }

// NewPaths knows the paths of GitHub's REST API, relative to its base.
func NewPaths() *Paths {
	s := &Paths{}
	for _, t := range templates {
		s.add(t)
	}
	for _, t := range orgTemplates {
		s.add("/orgs/:orgname" + t)
		s.add("/organizations/:orgId" + t)
	}
	for _, t := range repoTemplates {
		s.add("/repos/:owner/:repo" + t)
		s.add("/repositories/:repoId" + t)
	}
	return s
}

func (s *Paths) add(template string) {
	at := &s.root
	for element := range strings.SplitSeq(strings.Trim(template, "/"), "/") {
		var next **node
		switch {
		case strings.HasPrefix(element, "::"):
			next = &at.rest
		case strings.HasPrefix(element, ":"):
			next = &at.variable
		default:
			if at.literal == nil {
				at.literal = map[string]*node{}
			}
			if at.literal[element] == nil {
				at.literal[element] = &node{}
			}
			at = at.literal[element]
			continue
		}
		if *next == nil {
			*next = &node{}
		}
		at = *next
	}
	at.name = strings.ReplaceAll(template, "::", ":")
}

// Template returns the template of a path.
func (s *Paths) Template(path string) string {
	if name := s.root.find(strings.Trim(path, "/")); name != "" {
		return name
	}
	return unmatched
}

func (n *node) find(path string) string {
	element, left, more := strings.Cut(path, "/")
	if next := n.literal[element]; next != nil {
		if name := next.continued(left, more); name != "" {
			return name
		}
	}
	if n.variable != nil && element != "" {
		if name := n.variable.continued(left, more); name != "" {
			return name
		}
	}
	if n.rest != nil && path != "" {
		return n.rest.name
	}
	return ""
}

func (n *node) continued(left string, more bool) string {
	if !more {
		return n.name
	}
	return n.find(left)
}
