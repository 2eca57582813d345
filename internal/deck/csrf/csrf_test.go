package csrf

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"prow/internal/deck/seal"
)

func TestKey(t *testing.T) {
	if Key(make([]byte, 31)) != nil || Key(nil) != nil {
		t.Error("a short secret makes a key")
	}
	exact := bytes.Repeat([]byte{7}, 32)
	if !bytes.Equal(Key(exact), exact) {
		t.Error("32 bytes are not used as they are")
	}
	if long := Key(bytes.Repeat([]byte{7}, 64)); len(long) != 32 || bytes.Equal(long, exact) {
		t.Error("a longer secret is not hashed")
	}
}

func TestWhoMayChangeSomething(t *testing.T) {
	guard := &Guard{Sealer: seal.New(func() []byte { return make([]byte, 32) }, time.Now), Insecure: true, Log: slog.New(slog.DiscardHandler)}
	mux := http.NewServeMux()
	mux.HandleFunc("/csrf.js", guard.Script)
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	handler := guard.Handler(mux)
	ask := func(method, path, form string, headers ...string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, "http://deck.example"+path, strings.NewReader(form))
		if form != "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Add(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		return w
	}
	script := ask(http.MethodGet, "/csrf.js", "")
	text, _ := strings.CutPrefix(strings.TrimSuffix(script.Body.String(), ";\n"), "var csrfToken = ")
	var token string
	if err := json.Unmarshal([]byte(text), &token); err != nil || len(script.Result().Cookies()) != 1 {
		t.Fatalf("%v: %s", err, script.Body)
	}
	made := script.Result().Cookies()[0]
	if !made.HttpOnly || made.SameSite != http.SameSiteLaxMode || made.Path != "/" {
		t.Errorf("cookie %s", made)
	}
	cookie := made.Name + "=" + made.Value
	again := ask(http.MethodGet, "/csrf.js", "", "Cookie", cookie)
	if len(again.Result().Cookies()) != 0 || again.Body.String() == script.Body.String() {
		t.Error("the cookie is made anew, or the token is the same text each time")
	}
	if got := ask(http.MethodGet, "/csrf.js", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site"); got.Code != http.StatusForbidden || strings.Contains(got.Body.String(), "csrfToken =") {
		t.Error("another site reads the token")
	}
	otherCookie := ask(http.MethodGet, "/csrf.js", "").Result().Cookies()[0]
	form := url.Values{Field: {token}}.Encode()
	for name, test := range map[string]struct {
		want    int
		form    string
		headers []string
	}{
		"nothing is said":                      {403, "", nil},
		"only the cookie":                      {403, "", []string{"Cookie", cookie}},
		"only the token":                       {403, "", []string{Header, token}},
		"the token of another cookie":          {403, "", []string{Header, token, "Cookie", otherCookie.Name + "=" + otherCookie.Value}},
		"a forged cookie":                      {403, "", []string{Header, token, "Cookie", made.Name + "=forged"}},
		"no token at all":                      {403, "", []string{Header, "AAAA", "Cookie", cookie}},
		"the token in the header":              {200, "", []string{Header, token, "Cookie", cookie}},
		"the token in the form":                {200, form, []string{"Cookie", cookie}},
		"a browser on this site":               {200, "", []string{"Sec-Fetch-Site", "same-origin"}},
		"an older browser on this site":        {200, "", []string{"Origin", "https://deck.example"}},
		"another site":                         {403, "", []string{"Sec-Fetch-Site", "cross-site"}},
		"another site that knows the token":    {403, form, []string{"Sec-Fetch-Site", "cross-site", Header, token, "Cookie", cookie}},
		"a sibling site":                       {403, "", []string{"Sec-Fetch-Site", "same-site"}},
		"an older browser on another site":     {403, "", []string{"Origin", "https://evil.example", Header, token, "Cookie", cookie}},
		"a page without origin":                {403, "", []string{"Origin", "null", Header, token, "Cookie", cookie}},
		"a host that begins like this one":     {403, "", []string{"Origin", "https://deck.example.evil.example"}},
		"this host, as the name of a password": {403, "", []string{"Origin", "https://deck.example@evil.example"}},
	} {
		if got := ask(http.MethodPost, "/rerun", test.form, test.headers...); got.Code != test.want {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	if got := ask(http.MethodGet, "/", "", "Sec-Fetch-Site", "cross-site"); got.Code != http.StatusOK || got.Header().Get("Vary") != "Cookie" {
		t.Errorf("reading: %d %v", got.Code, got.Header())
	}
	guard.Sealer = nil
	if got := ask(http.MethodPost, "/rerun", ""); got.Code != http.StatusOK {
		t.Errorf("without a key a program is refused: %d", got.Code)
	}
	if got := ask(http.MethodPost, "/rerun", "", "Origin", "https://evil.example"); got.Code != http.StatusForbidden {
		t.Errorf("without a key another site is let in: %d", got.Code)
	}
}
