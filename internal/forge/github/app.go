package github

import (
	"context"
	"time"
)

// appTokenLife is how long an app's own token is good; GitHub allows 10 minutes.
const appTokenLife = 9 * time.Minute

// Installation is an account in which an app is installed.
type Installation struct {
	ID      int64 `json:"id"`
	Account User  `json:"account"`
}

// ListAppInstallations lists where the app is installed; only the app itself may ask.
func (c *Client) ListAppInstallations(ctx context.Context) ([]Installation, error) {
	return list[Installation](ctx, c, "app/installations", nil)
}
