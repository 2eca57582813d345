package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"prow/internal/report"
	"prow/internal/secret"
)

// Endpoint is where messages are posted.
const Endpoint = "https://slack.com/api/chat.postMessage"

const (
	requestLimit = 20 * time.Second
	maxAnswer    = 1 << 20
)

// Client posts messages to one workspace. It is kept as long as the program runs.
type Client struct {
	// Token is asked for with each message, so a rotated one counts at once.
	Token func() secret.Value
	// URL is Endpoint, or that of a test.
	URL string
	// HTTP is shared by all workspaces, see NewHTTPClient.
	HTTP *http.Client
}

// NewHTTPClient makes the client that all workspaces share.
func NewHTTPClient() *http.Client { return &http.Client{Timeout: requestLimit} }

// permanent are the refusals that stay until somebody changes a configuration.
var permanent = []string{
	"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "msg_too_long", "no_text", "invalid_arguments",
}

// Send posts a message as "prow".
func (c *Client) Send(ctx context.Context, channel, text string) error {
	form := url.Values{
		"username": {"prow"}, "icon_emoji": {":prow:"}, "channel": {channel}, "text": {text},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("post to Slack: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+c.Token().Reveal())
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("post to Slack: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of Slack: %w", err)
	}
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	decoded := json.Unmarshal(body, &answer)
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the server answers status %d: %.200s", resp.StatusCode, body)
	case decoded != nil:
		return fmt.Errorf("the server answers no JSON: %.200q", body)
	case answer.OK:
		return nil
	}
	err = fmt.Errorf("message refused: %s", answer.Error)
	if slices.Contains(permanent, answer.Error) {
		return report.UserError(err)
	}
	return err
}
