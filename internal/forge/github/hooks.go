package github

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Hook is a webhook of a repository or org.
type Hook struct {
	ID     int64      `json:"id"`
	Name   string     `json:"name"`
	Active bool       `json:"active"`
	Events []string   `json:"events"`
	Config HookConfig `json:"config"`
}

// HookConfig is where a webhook goes. The forge never tells the secret.
type HookConfig struct {
	URL         string `json:"url"`
	ContentType string `json:"content_type,omitempty"`
	Secret      string `json:"secret,omitempty"`
}

// AllHookEvents is the one event of a webhook that wants all.
const AllHookEvents = "*"

// HookRequest makes or changes a webhook; empty fields stay as they are.
type HookRequest struct {
	// Name is "web" for new webhooks, and filled in where it is empty.
	Name   string   `json:"name,omitempty"`
	Active *bool    `json:"active,omitempty"`
	Events []string `json:"events,omitempty"`
	// AddEvents and RemoveEvents change the events of a repository's webhook.
	AddEvents    []string    `json:"add_events,omitempty"`
	RemoveEvents []string    `json:"remove_events,omitempty"`
	Config       *HookConfig `json:"config,omitempty"`
}

// dryRunHook is the id of a webhook that was not made.
const dryRunHook = -1

func orgHooks(org string, elements ...string) string {
	return path(append([]string{"orgs", org, "hooks"}, elements...)...)
}

func repoHooks(org, repo string, elements ...string) string {
	return repoPath(org, repo, append([]string{"hooks"}, elements...)...)
}

// ListOrgHooks lists the webhooks of an org.
func (c *Client) ListOrgHooks(ctx context.Context, org string) ([]Hook, error) {
	return list[Hook](ctx, c, orgHooks(org), nil)
}

// ListRepoHooks lists the webhooks of a repository.
func (c *Client) ListRepoHooks(ctx context.Context, org, repo string) ([]Hook, error) {
	return list[Hook](ctx, c, repoHooks(org, repo), nil)
}

// CreateOrgHook makes a webhook of an org and returns its id, -1 in dry-run.
func (c *Client) CreateOrgHook(ctx context.Context, org string, hook HookRequest) (int64, error) {
	return c.createHook(ctx, orgHooks(org), hook)
}

// CreateRepoHook makes a webhook of a repository and returns its id, -1 in dry-run.
func (c *Client) CreateRepoHook(ctx context.Context, org, repo string, hook HookRequest) (int64, error) {
	return c.createHook(ctx, repoHooks(org, repo), hook)
}

func (c *Client) createHook(ctx context.Context, path string, hook HookRequest) (int64, error) {
	if hook.Name == "" {
		hook.Name = "web"
	}
	out := Hook{ID: dryRunHook}
	_, err := c.send(ctx, request{method: http.MethodPost, path: path, body: hook, codes: []int{http.StatusCreated}, secret: true}, &out)
	return out.ID, err
}

// EditOrgHook changes a webhook of an org.
func (c *Client) EditOrgHook(ctx context.Context, org string, id int64, hook HookRequest) error {
	return c.editHook(ctx, orgHooks(org, strconv.FormatInt(id, 10)), hook)
}

// EditRepoHook changes a webhook of a repository.
func (c *Client) EditRepoHook(ctx context.Context, org, repo string, id int64, hook HookRequest) error {
	return c.editHook(ctx, repoHooks(org, repo, strconv.FormatInt(id, 10)), hook)
}

func (c *Client) editHook(ctx context.Context, path string, hook HookRequest) error {
	_, err := c.send(ctx, request{method: http.MethodPatch, path: path, body: hook, secret: true}, nil)
	return err
}

// DeleteOrgHook removes a webhook of an org.
func (c *Client) DeleteOrgHook(ctx context.Context, org string, id int64) error {
	return c.change(ctx, http.MethodDelete, orgHooks(org, strconv.FormatInt(id, 10)), nil, nil, http.StatusNoContent)
}

// DeleteRepoHook removes a webhook of a repository.
func (c *Client) DeleteRepoHook(ctx context.Context, org, repo string, id int64) error {
	return c.change(ctx, http.MethodDelete, repoHooks(org, repo, strconv.FormatInt(id, 10)), nil, nil, http.StatusNoContent)
}

// HookDelivery is a delivery of a webhook as the forge remembers it.
type HookDelivery struct {
	ID          int64     `json:"id"`
	GUID        string    `json:"guid"`
	DeliveredAt time.Time `json:"delivered_at"`
	Redelivery  bool      `json:"redelivery"`
	Duration    float64   `json:"duration"`
	// Status is "OK" or what went wrong; StatusCode is 0 where nobody answered.
	Status     string `json:"status"`
	StatusCode int    `json:"status_code"`
	Event      string `json:"event"`
	Action     string `json:"action"`
}

// ListOrgHookDeliveries lists the deliveries of an org's webhook since a time,
// newest first. The forge remembers them for a few days.
func (c *Client) ListOrgHookDeliveries(ctx context.Context, org string, hook int64, since time.Time) ([]HookDelivery, error) {
	return c.deliveries(ctx, orgHooks(org, strconv.FormatInt(hook, 10), "deliveries"), since)
}

// ListRepoHookDeliveries is ListOrgHookDeliveries for the webhook of a repository.
func (c *Client) ListRepoHookDeliveries(ctx context.Context, org, repo string, hook int64, since time.Time) ([]HookDelivery, error) {
	return c.deliveries(ctx, repoHooks(org, repo, strconv.FormatInt(hook, 10), "deliveries"), since)
}

// ListAppHookDeliveries is ListOrgHookDeliveries for the webhook of the App the
// client acts as.
func (c *Client) ListAppHookDeliveries(ctx context.Context, since time.Time) ([]HookDelivery, error) {
	return c.deliveries(ctx, path("app", "hook", "deliveries"), since)
}

func (c *Client) deliveries(ctx context.Context, path string, since time.Time) ([]HookDelivery, error) {
	var all []HookDelivery
	err := c.pages(ctx, request{path: path, query: url.Values{}}, func(raw []byte) (bool, error) {
		page, err := decode[[]HookDelivery](raw)
		for _, d := range page {
			if d.DeliveredAt.Before(since) {
				return false, err
			}
			all = append(all, d)
		}
		return true, err
	})
	return all, err
}

// RedeliverOrgHook has the forge deliver something to an org's webhook again.
func (c *Client) RedeliverOrgHook(ctx context.Context, org string, hook, delivery int64) error {
	return c.redeliver(ctx, orgHooks(org, strconv.FormatInt(hook, 10), "deliveries", strconv.FormatInt(delivery, 10), "attempts"))
}

// RedeliverRepoHook is RedeliverOrgHook for the webhook of a repository.
func (c *Client) RedeliverRepoHook(ctx context.Context, org, repo string, hook, delivery int64) error {
	return c.redeliver(ctx, repoHooks(org, repo, strconv.FormatInt(hook, 10), "deliveries", strconv.FormatInt(delivery, 10), "attempts"))
}

// RedeliverAppHook is RedeliverOrgHook for the webhook of the App the client acts as.
func (c *Client) RedeliverAppHook(ctx context.Context, delivery int64) error {
	return c.redeliver(ctx, path("app", "hook", "deliveries", strconv.FormatInt(delivery, 10), "attempts"))
}

func (c *Client) redeliver(ctx context.Context, path string) error {
	return c.postAgain(ctx, path, nil, nil, http.StatusAccepted)
}
