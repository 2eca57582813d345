package doctor

import (
	"context"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// slightly is what does no harm: answers take their time, and dates have seconds.
	slightly = 3 * time.Second
	// badly is from where GitHub refuses Apps, whose tokens last for ten minutes and may
	// not begin later than its own time.
	badly = 30 * time.Second
)

// lookAtClocks compares this machine's clock with those of others.
func lookAtClocks(ctx context.Context, p *patient) []Finding {
	var out []Finding
	if p.clusters != nil {
		if client, err := rest.HTTPClientFor(p.clusters.Service()); err == nil {
			out = append(out, p.clockOf(ctx, client, "the service cluster", strings.TrimRight(p.clusters.Service().Host, "/")+"/version"))
		}
	}
	if len(p.GitHub.Endpoints) > 0 && (p.GitHub.TokenPath != "" || p.GitHub.AppID != "") {
		out = append(out, p.clockOf(ctx, p.http, "GitHub", p.GitHub.Endpoints[0]))
	}
	if len(out) == 0 {
		out = append(out, leftOut("There is no other clock to compare with"))
	}
	return out
}

func (p *patient) clockOf(ctx context.Context, client *http.Client, whose, url string) Finding {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return leftOut("The clock of %s: %v", whose, err)
	}
	asked := p.now()
	resp, err := client.Do(req)
	if err != nil {
		return leftOut("The clock of %s: it does not answer", whose)
	}
	_ = resp.Body.Close() // there is none
	answered := p.now()
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return leftOut("The clock of %s: it tells no time", whose)
	}
	return judgeClock(whose, asked, answered, theirs)
}

// judgeClock compares a time with those at which it was asked for and told. A date has
// whole seconds.
func judgeClock(whose string, asked, answered, theirs time.Time) Finding {
	apart := time.Duration(0)
	switch {
	case theirs.Add(time.Second).Before(asked):
		apart = asked.Sub(theirs)
	case theirs.After(answered):
		apart = theirs.Sub(answered)
	}
	const mend = "Let both machines follow NTP."
	switch {
	case apart >= badly:
		return bad(mend+" GitHub refuses Apps whose clock goes wrong, and times of jobs are not to be believed.", "This clock and that of %s are %v apart", whose, apart.Round(time.Second))
	case apart >= slightly:
		return warn(mend, "This clock and that of %s are %v apart", whose, apart.Round(time.Second))
	}
	return good("This clock agrees with that of %s", whose)
}
