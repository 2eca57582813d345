package local

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// FuzzSearch holds the parser of searches to its promises: terms are bounded,
// have a value, and compile to SQL whose arguments fit its places, or to an
// error of the API.
func FuzzSearch(f *testing.F) {
	for _, s := range []string{
		`is:pr label:lgtm -label:"do not merge" author:@me`, `NOT crash OR "quoted words" milestone:"v 1"`, `updated:2020-01-01..* comments:>3 status:success`,
		`-`, `--x`, `"`, `:`, `a:"b`, `repo:a/b/c head:é sort:updated-asc`, "label:,,,", "NOT NOT", "created:..", strings.Repeat("a ", 3000),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, q string) {
		terms, err := parseSearch(q)
		if err != nil {
			if !isAPIError(err) {
				t.Fatalf("an error that is none of the API: %v", err)
			}
			return
		}
		if len(terms) > len(q) {
			t.Fatalf("%d terms out of %d bytes", len(terms), len(q))
		}
		for _, term := range terms {
			if term.Value == "" || strings.Contains(term.Value, `"`) {
				t.Fatalf("term %+v", term)
			}
		}
		s, err := compile(terms, &account{ID: 1, Login: "me"})
		if err != nil {
			if !isAPIError(err) {
				t.Fatalf("an error that is none of the API: %v", err)
			}
			return
		}
		for _, c := range s.where {
			if n := strings.Count(c.sql, "?"); n != len(c.args) {
				t.Fatalf("%q has %d places and %d arguments", c.sql, n, len(c.args))
			}
		}
	})
}

// FuzzPage holds lists to their bounds whatever the paging parameters say, and
// the Link header to what clients parse.
func FuzzPage(f *testing.F) {
	for _, s := range []string{"per_page=2&page=2", "per_page=-1", "page=999999999999999999999", "per_page=0&page=0", "page=2&q=a%22%3E%3B%20rel%3Dnext", "page=%zz", "page=2&page=3", ";=;"} {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, query string, n int) {
		if n < 0 || n > 1000 {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/api/v3/x", nil)
		r.URL.RawQuery = query
		c := &call{reader: &reader{f: &Forge{base: "http://forge"}}, http: r, header: http.Header{}}
		all := make([]int, n)
		got := paginate(c, all)
		if got == nil || len(got) > maxPage || len(got) > n {
			t.Fatalf("%d of %d entries", len(got), n)
		}
		link := c.header.Get("Link")
		for part := range strings.SplitSeq(link, ", <") {
			if part == "" {
				continue
			}
			addr, rel, ok := strings.Cut(strings.TrimPrefix(part, "<"), ">; rel=")
			if u, err := url.Parse(addr); !ok || err != nil || u.Host != "forge" || !strings.Contains(`"next""prev""first""last"`, rel) {
				t.Fatalf("link %q in %q", part, link)
			}
		}
		if strings.ContainsAny(link, "\r\n") {
			t.Fatalf("a header of two lines: %q", link)
		}
	})
}

// FuzzSign holds signatures to the payload and the secret.
func FuzzSign(f *testing.F) {
	f.Add("It's a Secret to Everybody", []byte("Hello, World!"))
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, secret string, body []byte) {
		if secret == "" {
			return
		}
		h := &hook{Secret: secret, ContentType: "json"}
		one := hookHeaders(h, &delivery{Payload: body}).Get("X-Hub-Signature-256")
		if len(one) != len("sha256=")+64 {
			t.Fatalf("signature %q", one)
		}
		if other := hookHeaders(h, &delivery{Payload: append(bytes.Clone(body), 'x')}).Get("X-Hub-Signature-256"); other == one {
			t.Fatal("another payload has the same signature")
		}
		h.ContentType = "form"
		values, err := url.ParseQuery(string(formBody(body)))
		if err != nil || values.Get("payload") != string(body) {
			t.Fatalf("the form does not hold the payload: %v", err)
		}
	})
}

// FuzzGraphQL sends arbitrary queries to the executor: it must answer with
// data or errors, and never panic or run away.
func FuzzGraphQL(f *testing.F) {
	forge, err := Open(context.Background(), Options{Dir: f.TempDir(), BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = forge.Close() })
	ctx := context.Background()
	if err := forge.Apply(ctx, Seed{Users: []User{{Login: "dev"}}, Orgs: []SeedOrg{{Org: Org{Login: "acme"}}}, Repos: []SeedRepo{{Repo: Repo{Owner: "acme", Name: "app"}}}}); err != nil {
		f.Fatal(err)
	}
	viewer, err := forge.read(ctx).account("dev")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		`{viewer{login}}`, `query($q:String!){search(type:ISSUE,query:$q,first:5){nodes{...on PullRequest{number}}}}`, `{__schema{types{fields{type{ofType{name}}}}}}`,
		`{repository(owner:"acme",name:"app"){object(expression:"main"){...on Commit{blame(path:"../x"){ranges{startingLine}}}}}}`, `{a:viewer{...F}} fragment F on User{...F}`,
		`mutation{addComment(input:{subjectId:"PR_1",body:""}){subject{id}}}`, `{`, `query A{viewer{login}} query B{viewer{login}}`, `{node(id:"R_9223372036854775808"){id}}`,
	} {
		f.Add(s, `{"q":"is:pr"}`)
	}
	f.Fuzz(func(t *testing.T, query, vars string) {
		var values map[string]any
		_ = json.Unmarshal([]byte(vars), &values)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out := forge.query(ctx, viewer, query, "", values)
		if _, err := json.Marshal(out); err != nil {
			t.Fatal(err)
		}
		if out["data"] == nil && out["errors"] == nil {
			t.Fatalf("neither data nor errors for %q", query)
		}
	})
}

// FuzzPushCommands reads the beginning of a push: what is consumed is what was
// there, and every move names valid objects.
func FuzzPushCommands(f *testing.F) {
	line := strings.Repeat("0", 40) + " " + strings.Repeat("1", 40) + " refs/heads/main\x00 report-status"
	f.Add([]byte("0000"))
	f.Add([]byte("0077" + line + "0000PACK"))
	f.Add([]byte("zzzz"))
	f.Add([]byte("0003"))
	f.Add([]byte("ffff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		moves, consumed, err := readCommands(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(in, consumed) {
			t.Fatal("more was consumed than was there")
		}
		for _, m := range moves {
			if m.From != "" && !validSHA(m.From) || m.To != "" && !validSHA(m.To) {
				t.Fatalf("move %+v", m)
			}
		}
	})
}

// FuzzJWT parses tokens of Apps: no panic, and no token without its three parts.
func FuzzJWT(f *testing.F) {
	for _, s := range []string{"a.b.c", "..", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjFlMzA4fQ.AA", strings.Repeat(".", 5000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		claims, _, _, err := parseJWT(token)
		if err == nil {
			if strings.Count(token, ".") != 2 {
				t.Fatalf("accepted %q", token)
			}
			_ = claims.checkTimes(clock.RealClock{}.Now())
		}
	})
}

// FuzzPath holds paths of files to the inside of a repository.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "a/../b", ".git/config", "a/.GIT/x", "/etc/passwd", "a//b", "a\\b", "a\x00b", "-x", "git~1/x", strings.Repeat("a/", 3000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if !validPath(p) {
			return
		}
		for part := range strings.SplitSeq(p, "/") {
			if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") {
				t.Fatalf("accepted %q", p)
			}
		}
		if strings.HasPrefix(p, "/") || strings.ContainsAny(p, "\x00\n") {
			t.Fatalf("accepted %q", p)
		}
	})
}

// FuzzGitOutput holds the readers of git's output to what they promise of it.
func FuzzGitOutput(f *testing.F) {
	sha := strings.Repeat("a", 40)
	f.Add(sha + "\x00" + sha + "\x00" + sha + " " + sha + "\x00A\x00a@x\x0012\x00C\x00c@x\x0013\x00subject\n\nbody\n\x00")
	f.Add(sha + " 1 1 2\nauthor A\nsummary " + sha + " 1 2\n\tline\n" + sha + " 2 2\n\tline\n")
	f.Add("\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	f.Add("diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n")
	f.Fuzz(func(t *testing.T, out string) {
		if commits, err := parseCommits([]byte(out)); err == nil {
			for _, c := range commits {
				if strings.Contains(c.SHA+c.Message+c.Author.Name, "\x00") || strings.HasSuffix(c.Message, "\n") {
					t.Errorf("%q gives %+v", out, c)
				}
			}
		}
		if ranges, err := parseBlame(out); err == nil {
			for _, r := range ranges {
				if !validSHA(r.SHA) || r.End < r.Start {
					t.Errorf("%q gives %+v", out, r)
				}
			}
		}
		list := []change{{Status: "changed"}, {Binary: true}, {Status: "modified"}}
		attachPatches(list, []byte(out))
		for _, c := range list {
			if len(c.Patch) > len(out) || c.Binary && c.Patch != "" {
				t.Errorf("%q gives the patch %q", out, c.Patch)
			}
		}
	})
}
