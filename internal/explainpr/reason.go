package explainpr

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"prow/internal/forge/github"
)

// Reason is what Tide says of a pull request, in the words of its status.
type Reason struct {
	State string `json:"state"`
	// Code is empty where only the status is known.
	Code     string   `json:"code,omitempty"`
	Sentence string   `json:"sentence"`
	Links    []string `json:"links,omitempty"`
}

// statusReason is the reason as the status of the head has it; nil without one.
func statusReason(statuses *github.CombinedStatus) *Reason {
	for _, c := range statuses.Statuses {
		if c.Context == tideContext && words(c.Description) != "" {
			return &Reason{State: c.State, Sentence: words(c.Description)}
		}
	}
	return nil
}

const (
	// askTimeout is how long Tide may take to answer.
	askTimeout = 30 * time.Second
	// maxAnswer bounds the list of pools, in bytes.
	maxAnswer = 256 << 20
)

// askTide asks the pools at a URL for the reason of a pull request at its head; nil
// where it is in none of them.
func askTide(ctx context.Context, url, org, repo, head string, number int) (*Reason, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("--tide-url: %w", err)
	}
	resp, err := (&http.Client{Timeout: askTimeout}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking Tide: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking Tide at %s: the answer is %s", url, resp.Status)
	}
	type pullReason struct {
		Number         int
		SHA, State     string
		Code, Sentence string
		Links          []string
	}
	var pools []struct {
		Org, Repo        string
		Reasons, Refused []pullReason
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&pools); err != nil {
		return nil, fmt.Errorf("asking Tide at %s: %w", url, err)
	}
	for _, p := range pools {
		if p.Org != org || p.Repo != repo {
			continue
		}
		for _, r := range append(p.Reasons, p.Refused...) {
			if r.Number == number && r.SHA == head {
				return &Reason{State: r.State, Code: r.Code, Sentence: r.Sentence, Links: r.Links}, nil
			}
		}
	}
	return nil, nil
}
