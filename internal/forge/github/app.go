package github

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// appTokenLife is how long an app's own token is good; GitHub allows 10 minutes.
const appTokenLife = 9 * time.Minute

// App is a GitHub App.
type App struct {
	ID          int64             `json:"id,omitempty"`
	Slug        string            `json:"slug"`
	Name        string            `json:"name,omitempty"`
	Permissions map[string]string `json:"permissions,omitempty"`
	Events      []string          `json:"events,omitempty"`
}

// Installation is an account in which an app is installed.
type Installation struct {
	ID      int64  `json:"id"`
	AppID   int64  `json:"app_id,omitempty"`
	AppSlug string `json:"app_slug,omitempty"`
	Account User   `json:"account"`
}

// GetApp is the app the client acts as.
func (c *Client) GetApp(ctx context.Context) (*App, error) {
	var out App
	return &out, c.get(ctx, "app", &out)
}

// ListAppInstallations lists where the app is installed; only the app itself may ask.
func (c *Client) ListAppInstallations(ctx context.Context) ([]Installation, error) {
	return list[Installation](ctx, c, "app/installations", nil)
}

// ListOrgInstallations lists the apps that are installed in an org.
func (c *Client) ListOrgInstallations(ctx context.Context, org string) ([]Installation, error) {
	return listUnder(ctx, c, path("orgs", org, "installations"), nil, under[Installation]("installations"))
}

// IsAppInstalled tells whether the app the client acts as is installed in a
// repository. Clients that act as no app cannot know.
func (c *Client) IsAppInstalled(ctx context.Context, org, repo string) (bool, error) {
	if !c.app {
		return false, errors.New("only a GitHub App can ask where it is installed")
	}
	return c.exists(ctx, repoPath(org, repo, "installation"), "the app's installation in "+org+"/"+repo, http.StatusOK)
}
