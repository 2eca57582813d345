package doctor

import (
	"context"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"

	"prow/internal/forge/github"
	"prow/internal/webhook"
)

// lookAtWebhooks sends what GitHub sends when a webhook is made, with a right and a wrong
// signature, and looks whether orgs and repositories send theirs there.
func lookAtWebhooks(ctx context.Context, p *patient) []Finding {
	if p.HookURL == "" {
		return []Finding{leftOut("--hook-url is not given")}
	}
	var out []Finding
	code, text, err := p.ping(ctx, "sha256="+strings.Repeat("0", 64))
	switch {
	case err != nil:
		return []Finding{bad("GitHub must reach it from the internet: look at DNS, the ingress, its certificate and the service of hook.", "%s does not answer: %v", p.HookURL, err)}
	case code == http.StatusForbidden:
		out = append(out, good("%s is reached, and refuses what is not signed", p.HookURL))
	case code/100 == 2:
		out = append(out, bad("Look what really answers there: hook takes signed webhooks only.", "%s takes a webhook with a wrong signature", p.HookURL))
	case code/100 == 3:
		return []Finding{bad("GitHub does not follow redirects: name the address it leads to.", "%s answers %d and leads elsewhere", p.HookURL, code)}
	default:
		return []Finding{bad("Look at the path (hook serves --webhook-path, /hook) and at the service behind the ingress.", "%s answers %d: %.200s", p.HookURL, code, text)}
	}
	out = append(out, lookAtSecret(ctx, p)...)
	return append(out, lookAtHooks(ctx, p)...)
}

// ping sends the event that changes nothing.
func (p *patient) ping(ctx context.Context, signature string) (code int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.HookURL, strings.NewReader(pingBody))
	if err != nil {
		return 0, "", err
	}
	for key, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "ping", "X-GitHub-Delivery": uuid.NewString(), "X-Hub-Signature-256": signature, "User-Agent": "prow-doctor",
	} {
		req.Header.Set(key, value)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	return resp.StatusCode, strings.TrimSpace(string(body)), nil
}

const pingBody = `{"zen":"Prow examines itself.","hook_id":0}`

func lookAtSecret(ctx context.Context, p *patient) []Finding {
	if p.HMACFile == "" {
		return []Finding{leftOut("The secret of webhooks: --hmac-secret-file is not given")}
	}
	raw, err := os.ReadFile(p.HMACFile)
	if err != nil {
		return []Finding{bad("", "The secret of webhooks: %v", err)}
	}
	keys, err := webhook.ParseKeys(raw)
	if err != nil {
		return []Finding{bad("", "%s: %v", p.HMACFile, err)}
	}
	all := keys["*"]
	if len(all) == 0 {
		return []Finding{leftOut("Whether hook takes webhooks: %s has only secrets of certain orgs and repositories, and a test belongs to none", p.HMACFile)}
	}
	code, text, err := p.ping(ctx, webhook.Sign([]byte(pingBody), all[len(all)-1].Value))
	switch {
	case err != nil:
		return []Finding{bad("", "%s does not answer any more: %v", p.HookURL, err)}
	case code == http.StatusForbidden:
		return []Finding{bad("hook has another secret: compare its file with this one, and both with the webhook at GitHub.", "%s refuses what is signed with %s", p.HookURL, p.HMACFile)}
	case code/100 != 2:
		return []Finding{bad("Its log tells why.", "%s answers %d to a signed webhook: %.200s", p.HookURL, code, text)}
	}
	return []Finding{good("hook takes what is signed with %s", p.HMACFile)}
}

// lookAtHooks looks whether the orgs send their events. Repositories of an org that sends
// none are not looked at one by one.
func lookAtHooks(ctx context.Context, p *patient) []Finding {
	if p.forge == nil || p.GitHub.AppID != "" {
		return []Finding{leftOut("Whether GitHub sends webhooks there: the App tells no webhooks, or there is no token")}
	}
	var out []Finding
	orgs := p.orgs()
	for _, org := range orgs[:min(len(orgs), maxOrgs)] {
		hooks, err := p.forge.ListOrgHooks(ctx, org)
		switch code := github.StatusCode(err); {
		case code == http.StatusNotFound || code == http.StatusForbidden:
			out = append(out, leftOut("The webhooks of %s: the token may not read them (admin:org_hook)", org))
			continue
		case err != nil:
			out = append(out, bad("", "The webhooks of %s cannot be read: %v", org, err))
			continue
		}
		out = append(out, judgeHooks(p.HookURL, org, hooks))
	}
	return out
}

func judgeHooks(hookURL, org string, hooks []github.Hook) Finding {
	i := slices.IndexFunc(hooks, func(h github.Hook) bool {
		return strings.TrimRight(h.Config.URL, "/") == strings.TrimRight(hookURL, "/")
	})
	if i < 0 {
		return warn("Make a webhook of the org with this address, type application/json and all events, unless its repositories have theirs.", "%s sends no webhooks to %s", org, hookURL)
	}
	h := hooks[i]
	var missing []string
	for _, event := range wantedEvents {
		if !slices.Contains(h.Events, event) && !slices.Contains(h.Events, github.AllHookEvents) {
			missing = append(missing, event)
		}
	}
	switch {
	case !h.Active:
		return bad("Make it active at GitHub.", "The webhook of %s is not active", org)
	case h.Config.ContentType != "" && h.Config.ContentType != "json":
		return bad("Set its content type to application/json.", "The webhook of %s sends %q", org, h.Config.ContentType)
	case len(missing) > 0:
		return warn("Let it send everything.", "The webhook of %s leaves out %s", org, strings.Join(missing, ", "))
	}
	return good("%s sends its webhooks there", org)
}
