package local

import (
	"net/http"
	"strings"
)

// levelOf orders the levels of an App's permission.
func levelOf(level string) int {
	return map[string]int{"read": 1, "write": 2, "admin": 3}[level]
}

func lowerLevel(a, b string) string {
	if levelOf(a) < levelOf(b) {
		return a
	}
	return b
}

// need is what an operation asks of an App: one of the names, at read level for
// GET and at write level for everything else unless level is set.
type need struct {
	names []string
	level string
}

// appNeeds maps the beginning of a pattern to the permissions of an App, the
// longest match counts. Operations that are not listed need none beyond
// metadata, which every installation has; "-" ones are not for Apps at all.
var appNeeds = map[string]need{
	"/repos/{owner}/{repo}":                                  {names: []string{"administration"}},
	"GET /repos/{owner}/{repo}":                              {names: []string{"metadata"}},
	"/repos/{owner}/{repo}/collaborators":                    {names: []string{"administration"}},
	"GET /repos/{owner}/{repo}/collaborators":                {names: []string{"metadata"}},
	"/repos/{owner}/{repo}/invitations":                      {names: []string{"administration"}},
	"GET /repos/{owner}/{repo}/teams":                        {names: []string{"administration"}},
	"/repos/{owner}/{repo}/hooks":                            {names: []string{"repository_hooks"}},
	"/repos/{owner}/{repo}/rulesets":                         {names: []string{"administration"}},
	"GET /repos/{owner}/{repo}/rulesets":                     {names: []string{"metadata"}},
	"GET /repos/{owner}/{repo}/rules":                        {names: []string{"metadata"}},
	"/repos/{owner}/{repo}/git":                              {names: []string{"contents"}},
	"/repos/{owner}/{repo}/contents":                         {names: []string{"contents"}},
	"GET /repos/{owner}/{repo}/readme":                       {names: []string{"contents"}},
	"GET /repos/{owner}/{repo}/commits":                      {names: []string{"contents", "statuses", "checks"}},
	"GET /repos/{owner}/{repo}/compare":                      {names: []string{"contents"}},
	"/repos/{owner}/{repo}/branches":                         {names: []string{"administration"}},
	"GET /repos/{owner}/{repo}/branches":                     {names: []string{"contents", "administration"}},
	"GET /repos/{owner}/{repo}/tags":                         {names: []string{"metadata"}},
	"/repos/{owner}/{repo}/merges":                           {names: []string{"contents"}},
	"/repos/{owner}/{repo}/merge-upstream":                   {names: []string{"contents"}},
	"/repos/{owner}/{repo}/statuses":                         {names: []string{"statuses"}},
	"/repos/{owner}/{repo}/check-runs":                       {names: []string{"checks"}},
	"/repos/{owner}/{repo}/check-suites":                     {names: []string{"checks"}},
	"/repos/{owner}/{repo}/actions":                          {names: []string{"actions"}},
	"/repos/{owner}/{repo}/issues":                           {names: []string{"issues", "pull_requests"}},
	"/repos/{owner}/{repo}/assignees":                        {names: []string{"metadata", "issues"}},
	"/repos/{owner}/{repo}/labels":                           {names: []string{"issues", "pull_requests"}},
	"/repos/{owner}/{repo}/milestones":                       {names: []string{"issues", "pull_requests"}},
	"/repos/{owner}/{repo}/pulls":                            {names: []string{"pull_requests"}},
	"PUT /repos/{owner}/{repo}/pulls/{number}/merge":         {names: []string{"contents"}},
	"PUT /repos/{owner}/{repo}/pulls/{number}/update-branch": {names: []string{"pull_requests"}},
	"POST /orgs/{org}/repos":                                 {names: []string{"administration"}},
	"GET /orgs/{org}":                                        {names: []string{"metadata"}},
	"/orgs/{org}":                                            {names: []string{"organization_administration"}},
	"/orgs/{org}/members":                                    {names: []string{"members"}},
	"/orgs/{org}/memberships":                                {names: []string{"members"}},
	"/orgs/{org}/invitations":                                {names: []string{"members"}},
	"/orgs/{org}/failed_invitations":                         {names: []string{"members"}},
	"/orgs/{org}/outside_collaborators":                      {names: []string{"members"}},
	"/orgs/{org}/teams":                                      {names: []string{"members"}},
	"/teams":                                                 {names: []string{"members"}},
	"/orgs/{org}/hooks":                                      {names: []string{"organization_hooks"}},
	"/orgs/{org}/rulesets":                                   {names: []string{"organization_administration"}},
	"GET /orgs/{org}/installations":                          {names: []string{"organization_administration"}},
	"GET /orgs/{org}/repos":                                  {names: []string{"metadata"}},
	"GET /user":                                              {names: []string{"-"}},
	"/user":                                                  {names: []string{"-"}},
	"GET /app":                                               {names: []string{"-"}},
}

// needOf finds the entry for an operation. It is computed once per route.
func needOf(method, pattern string) need {
	for p := pattern; p != ""; p = p[:strings.LastIndexByte(p, '/')] {
		if n, ok := appNeeds[method+" "+p]; ok {
			return n
		}
		if n, ok := appNeeds[p]; ok {
			return n
		}
		if strings.LastIndexByte(p, '/') < 0 {
			break
		}
	}
	return need{names: []string{"metadata"}, level: "read"}
}

// level is the level that a method needs.
func (n need) levelFor(method string) string {
	switch {
	case n.level != "":
		return n.level
	case method == http.MethodGet || method == http.MethodHead:
		return "read"
	}
	return "write"
}

// refuse says whether a grant does not suffice for an operation.
func (g *grant) refuse(n need, method string) error {
	want := levelOf(n.levelFor(method))
	for _, name := range n.names {
		have := levelOf(g.Permissions[name])
		if name == "metadata" {
			have = 1
		}
		if name != "-" && have >= want {
			return nil
		}
	}
	return errIntegration
}

// allows says whether a grant has a permission at a level.
func (g *grant) allows(name, level string) bool {
	return g == nil || levelOf(g.Permissions[name]) >= levelOf(level)
}

var errIntegration = &apiError{Status: http.StatusForbidden, Message: "Resource not accessible by integration"}
