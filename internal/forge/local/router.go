package local

import (
	"net"
	"net/http"
	"strings"
)

// router sends a request to git, REST, GraphQL or the pages. ServeMux cannot:
// "/{owner}/{repo}/info/refs" and "/api/v3/" overlap.
func (f *Forge) router(p *pages) http.Handler {
	ops := newRoutes(userRoutes(), orgRoutes(), teamRoutes(), repoRoutes(), collaboratorRoutes(), appRoutes(), gitRoutes(), rulesetRoutes(), checkRoutes(), actionRoutes(), searchRoutes(), issueRoutes(), reactionRoutes(), pullRoutes(), reviewRoutes(), hookRoutes())
	forms := http.NewCrossOriginProtection()
	browser := forms.Handler(p)
	served := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case path == "/api/v3" || strings.HasPrefix(path, "/api/v3/"):
			f.serveREST(ops, w, r)
		case path == "/api/graphql":
			f.serveGraphQL(w, r)
		case path == "/login/oauth/access_token":
			f.serveAccessToken(w, r)
		default:
			if owner, name, service, ok := gitPath(path); ok {
				f.serveGit(w, r, owner, name, service)
				return
			}
			browser.ServeHTTP(w, r)
		}
	})
	faulty := f.withFaults(served)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !f.knownHost(r.Host):
			http.Error(w, "This forge does not serve this host name.", http.StatusMisdirectedRequest)
		case strings.HasPrefix(r.URL.Path, adminPath):
			f.serveAdmin(w, r)
		default:
			faulty.ServeHTTP(w, r)
		}
	})
}

// knownHost refuses names under which a foreign page could reach this server
// through the visitor's browser (DNS rebinding).
func (f *Forge) knownHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return f.hosts[lower(strings.Trim(host, "[]"))]
}
