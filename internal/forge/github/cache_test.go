package github

import (
	"fmt"
	"net/http"
	"testing"

	"prow/internal/forge/httpcache"
)

func TestAnswersAreRevalidatedForEachCredential(t *testing.T) {
	type asked struct{ token, condition string }
	var got []asked
	etag, body, mode := `"1"`, `{"name":"one"}`, ""
	handler := func(w http.ResponseWriter, r *http.Request) {
		got = append(got, asked{r.Header.Get("Authorization"), r.Header.Get("If-None-Match")})
		if mode != "" {
			w.Header().Set("X-Cache-Mode", mode)
		}
		w.Header().Set("Vary", "Accept, Authorization")
		if etag != "" {
			w.Header().Set("Etag", etag)
		}
		if c := r.Header.Get("If-None-Match"); c != "" && c == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answer(w, 200, body)
	}
	store := httpcache.NewMemory(1 << 20)
	token := "a"
	c, _ := forge(t, handler, func(o *ClientOptions) {
		o.Cache = store
		o.Token = func() (string, error) { return token, nil }
	})
	read := func(sentence, want string, question asked) {
		t.Helper()
		got = nil
		repo, err := c.GetRepo(t.Context(), "o", "r")
		if err != nil || repo.Name != want || len(got) != 1 || got[0] != question {
			t.Errorf("%s: %+v, %v, asked %v", sentence, repo, err, got)
		}
	}
	read("the first time", "one", asked{"Bearer a", ""})
	read("the second time", "one", asked{"Bearer a", `"1"`})
	token = "b"
	read("another credential has to get its own", "one", asked{"Bearer b", ""})
	token, etag, body = "a", `"2"`, `{"name":"two"}`
	read("a change", "two", asked{"Bearer a", `"1"`})
	read("after the change", "two", asked{"Bearer a", `"2"`})
	etag = ""
	read("what cannot be revalidated", "two", asked{"Bearer a", `"2"`})
	read("is not kept", "two", asked{"Bearer a", ""})
	etag, mode = `"3"`, "MISS"
	read("what a proxy keeps", "two", asked{"Bearer a", ""})
	read("is not kept twice", "two", asked{"Bearer a", ""})
}

// Questions that GitHub answers with 304 are free, so they must not use up tokens.
func TestFreeAnswersDoNotCount(t *testing.T) {
	transport := throttled(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNotModified, Header: http.Header{}}, nil
	}), Rate{1, 1}, nil)
	for range 5 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x", nil)
		if _, err := transport.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}
	if left := transport.(*throttle).general.tokens; left != 1 {
		t.Errorf("%v tokens are left", left)
	}
}

func TestInstallationsShareAnswersAmongTheirTokens(t *testing.T) {
	key := func(token, budget string) string {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/repos/o/r", nil)
		set(req, token, at(0), budget)
		return cacheKey(req)
	}
	if key("1", "app - o") != key("2", "app - o") || key("1", "app - o") == key("1", "app - p") {
		t.Error("answers belong to the installation, whatever its token")
	}
}

// BenchmarkCache is a read that is answered with 304, against one that is not.
func BenchmarkCache(b *testing.B) {
	body := fmt.Sprintf(`{"name":"%0100000d"}`, 1)
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("cache=%v", with), func(b *testing.B) {
			c := benchForge(b, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				answer(w, 200, body, "Etag", `"1"`)
			}, func(o *ClientOptions) {
				if with {
					o.Cache = httpcache.NewMemory(1 << 20)
				}
			})
			for b.Loop() {
				if _, err := c.GetRepo(b.Context(), "o", "r"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
