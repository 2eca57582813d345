package github

import (
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxCurlBody bounds what a rendered request shows of its body, in bytes.
const maxCurlBody = 4 << 10

// curl renders a request as a command with which a person can repeat it, once
// they have put in a credential of their own.
func curl(req *http.Request) string {
	var b strings.Builder
	b.WriteString("curl -X " + quote(req.Method))
	names := make([]string, 0, len(req.Header))
	for name := range req.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range req.Header[name] {
			if http.CanonicalHeaderKey(name) == "Authorization" {
				value = maskAuthorization(value)
			}
			b.WriteString(" -H " + quote(name+": "+value))
		}
	}
	if req.GetBody != nil {
		if body, err := req.GetBody(); err == nil {
			raw, _ := io.ReadAll(io.LimitReader(body, maxCurlBody))
			_ = body.Close()
			b.WriteString(" -d " + quote(string(raw)))
		}
	}
	return b.String() + " " + quote(req.URL.String())
}

// maskAuthorization hides a credential, and keeps its scheme if that is known not
// to be a part of it.
func maskAuthorization(value string) string {
	scheme, _, _ := strings.Cut(value, " ")
	switch strings.ToLower(scheme) {
	case "bearer", "basic", "negotiate":
		return scheme + " <masked>"
	}
	return "<masked>"
}

// quote quotes for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
