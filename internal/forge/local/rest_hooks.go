package local

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

func hookRoutes() []route {
	var all []route
	for _, base := range []string{"/orgs/{org}/hooks", "/repos/{owner}/{repo}/hooks"} {
		all = append(all,
			route{method: "GET", pattern: base, serve: listHooks},
			route{method: "POST", pattern: base, serve: createHook},
			route{method: "GET", pattern: base + "/{id}", serve: getHook},
			route{method: "PATCH", pattern: base + "/{id}", serve: editHook},
			route{method: "DELETE", pattern: base + "/{id}", serve: deleteHook},
			route{method: "GET", pattern: base + "/{id}/config", serve: getHookConfig},
			route{method: "PATCH", pattern: base + "/{id}/config", serve: editHookConfig},
			route{method: "POST", pattern: base + "/{id}/tests", serve: pingHook},
			route{method: "POST", pattern: base + "/{id}/pings", serve: pingHook},
			route{method: "GET", pattern: base + "/{id}/deliveries", serve: listDeliveries},
			route{method: "GET", pattern: base + "/{id}/deliveries/{delivery}", serve: getDelivery},
			route{method: "POST", pattern: base + "/{id}/deliveries/{delivery}/attempts", serve: redeliver},
		)
	}
	return all
}

// hookOwner finds the organisation or repository of the path; its hooks are
// for administrators.
func (c *call) hookOwner() (h hook, err error) {
	if c.params["org"] != "" {
		org, err := c.adminOrg()
		if err != nil {
			return h, err
		}
		h.OrgID = org.ID
		return h, nil
	}
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return h, err
	}
	h.RepoID = rp.ID
	return h, nil
}

func (c *call) hookOf() (*hook, error) {
	if c.app != nil {
		return c.appHook()
	}
	owner, err := c.hookOwner()
	if err != nil {
		return nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return one(c.reader, scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.id = ? AND h.org_id = ? AND h.repo_id = ? AND h.app_id = 0", id, owner.OrgID, owner.RepoID)
}

func listHooks(c *call) (any, error) {
	owner, err := c.hookOwner()
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.org_id = ? AND h.repo_id = ? AND h.app_id = 0 ORDER BY h.id", owner.OrgID, owner.RepoID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), c.hookJSON)
}

// hookEdit is the body of hook creation and change.
type hookEdit struct {
	Name   string      `json:"name"`
	Active *bool       `json:"active"`
	Events []string    `json:"events"`
	Add    []string    `json:"add_events"`
	Remove []string    `json:"remove_events"`
	Config *hookConfig `json:"config"`
}

// hookConfig is where a hook sends to.
type hookConfig struct {
	URL         *string `json:"url"`
	ContentType *string `json:"content_type"`
	Secret      *string `json:"secret"`
}

// apply changes what is given. A secret that was masked on the way out is no change.
func (c *hookConfig) apply(h *hook) error {
	set(&h.URL, c.URL)
	if c.Secret != nil && *c.Secret != "********" {
		h.Secret = *c.Secret
	}
	set(&h.ContentType, c.ContentType)
	if h.ContentType != "json" && h.ContentType != "form" {
		return invalid("Hook", "content_type", "custom", "content_type must be json or form")
	}
	return checkHookURL(h.URL)
}

func (e hookEdit) apply(h *hook) error {
	set(&h.Active, e.Active)
	var events []string
	if h.Events != "" {
		if err := json.Unmarshal([]byte(h.Events), &events); err != nil {
			return err
		}
	}
	if e.Events != nil {
		events = e.Events
	}
	for _, ev := range e.Add {
		if !slices.Contains(events, ev) {
			events = append(events, ev)
		}
	}
	events = slices.DeleteFunc(events, func(ev string) bool { return slices.Contains(e.Remove, ev) })
	if len(events) == 0 {
		events = []string{"push"}
	}
	raw, err := json.Marshal(events)
	if err != nil {
		return err
	}
	h.Events = string(raw)
	if e.Config != nil {
		return e.Config.apply(h)
	}
	return checkHookURL(h.URL)
}

func checkHookURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return invalid("Hook", "url", "custom", "url must be an absolute http(s) URL")
	}
	return nil
}

func createHook(c *call) (any, error) {
	h, err := c.hookOwner()
	if err != nil {
		return nil, err
	}
	h.Active, h.ContentType = true, "json"
	var in hookEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.apply(&h); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		n, err := t.count("SELECT count(*) FROM hooks WHERE org_id = ? AND repo_id = ? AND url = ?", h.OrgID, h.RepoID, h.URL)
		if err != nil {
			return err
		}
		if n > 0 {
			return invalid("Hook", "", "custom", "Hook already exists on this "+map[bool]string{true: "organization", false: "repository"}[h.OrgID != 0])
		}
		if err := t.insertHook(&h); err != nil {
			return err
		}
		if err := t.ping(&h, c.viewer); err != nil {
			return err
		}
		o, err = t.hookJSON(&h)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (t *txn) insertHook(h *hook) (err error) {
	if h.ContentType == "" {
		h.ContentType = "json"
	}
	h.Created, h.Updated = t.now, t.now
	h.ID, err = t.exec("INSERT INTO hooks (org_id, repo_id, app_id, content_type, url, secret, events, active, created, updated) VALUES (?,?,?,?,?,?,?,?,?,?)", h.OrgID, h.RepoID, h.AppID, h.ContentType, h.URL, h.Secret, h.Events, h.Active, h.Created, h.Updated)
	return err
}

func (t *txn) saveHook(h *hook) error {
	if h.ContentType == "" {
		h.ContentType = "json"
	}
	h.Updated = t.now
	_, err := t.exec("UPDATE hooks SET content_type = ?, url = ?, secret = ?, events = ?, active = ?, updated = ? WHERE id = ?", h.ContentType, h.URL, h.Secret, h.Events, h.Active, h.Updated, h.ID)
	return err
}

func getHook(c *call) (any, error) {
	h, err := c.hookOf()
	if err != nil {
		return nil, err
	}
	return c.hookJSON(h)
}

func editHook(c *call) (any, error) {
	h, err := c.hookOf()
	if err != nil {
		return nil, err
	}
	var in hookEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.apply(h); err != nil {
		return nil, err
	}
	if err := c.f.write(c.ctx, func(t *txn) error { return t.saveHook(h) }); err != nil {
		return nil, err
	}
	return c.hookJSON(h)
}

func getHookConfig(c *call) (any, error) {
	h, err := c.hookOf()
	if err != nil {
		return nil, err
	}
	return hookConfigJSON(h), nil
}

func editHookConfig(c *call) (any, error) {
	h, err := c.hookOf()
	if err != nil {
		return nil, err
	}
	var in hookConfig
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.apply(h); err != nil {
		return nil, err
	}
	return hookConfigJSON(h), c.f.write(c.ctx, func(t *txn) error { return t.saveHook(h) })
}

func deleteHook(c *call) (any, error) {
	h, err := c.hookOf()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM hooks WHERE id = ?", h.ID)
		return err
	})
}

func pingHook(c *call) (any, error) {
	h, err := c.hookOf()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error { return t.ping(h, c.viewer) })
}

// listDeliveries shows the newest first. GitHub pages this list by an opaque
// cursor, here the id to continue below.
func listDeliveries(c *call) (any, error) {
	h, err := c.hookOf()
	if err != nil {
		return nil, err
	}
	size, _ := c.page()
	below := int64(math.MaxInt64)
	if s := c.query("cursor"); s != "" {
		if below, err = strconv.ParseInt(strings.TrimPrefix(s, "v1_"), 10, 64); err != nil {
			return nil, badRequest("Invalid cursor")
		}
	}
	where, args := "d.hook_id = ? AND d.id < ?", []any{h.ID, below}
	switch c.query("status") {
	case "success":
		where += " AND d.code BETWEEN 200 AND 399"
	case "failure":
		where += " AND d.attempts > 0 AND d.code NOT BETWEEN 200 AND 399"
	}
	// The payloads can be large and are not shown in the list: read without them.
	cols := strings.Replace(deliveryCols, "d.payload", "x'' AS payload", 1)
	all, err := list(c.reader, scanDelivery, "SELECT "+cols+" FROM deliveries d WHERE "+where+" ORDER BY d.id DESC LIMIT ?", append(args, size+1)...)
	if err != nil {
		return nil, err
	}
	if len(all) > size {
		all = all[:size]
		q := c.http.URL.Query()
		q.Set("cursor", "v1_"+i64(all[size-1].ID))
		c.header.Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, c.f.base, c.http.URL.EscapedPath(), q.Encode()))
	}
	return each(all, func(d *delivery) (obj, error) { return deliveryJSON(d), nil })
}

// deliveryJSON adds "state" and "attempts" to GitHub's fields: here a delivery
// may be tried more than once.
func deliveryJSON(d *delivery) obj {
	status := "pending"
	switch {
	case d.State == "delivered":
		status = "OK"
	case d.Code != 0:
		status = http.StatusText(d.Code)
	case d.Attempts > 0:
		status = "failed to connect to host"
	}
	at := d.Tried
	if at.IsZero() {
		at = d.Created
	}
	return obj{
		"id": d.ID, "guid": d.GUID, "delivered_at": at, "redelivery": d.Redelivery, "duration": float64(d.Duration) / 1000, "status": status,
		"status_code": d.Code, "event": d.Event, "action": orNull(d.Action), "installation_id": orZero(d.Installation), "repository_id": orZero(d.RepoID), "throttled_at": nil, "state": d.State, "attempts": d.Attempts,
	}
}

// orZero turns 0 into null.
func orZero(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func (c *call) deliveryOf() (*hook, *delivery, error) {
	h, err := c.hookOf()
	if err != nil {
		return nil, nil, err
	}
	id, err := c.id("delivery")
	if err != nil {
		return nil, nil, err
	}
	d, err := one(c.reader, scanDelivery, "SELECT "+deliveryCols+" FROM deliveries d WHERE d.id = ? AND d.hook_id = ?", id, h.ID)
	return h, d, err
}

func getDelivery(c *call) (any, error) {
	h, d, err := c.deliveryOf()
	if err != nil {
		return nil, err
	}
	o := deliveryJSON(d)
	headers := obj{}
	for k, v := range hookHeaders(h, d) {
		k = strings.Replace(strings.Replace(k, "X-Github-", "X-GitHub-", 1), "-Id", "-ID", 1)
		headers[k] = v[0]
	}
	o["url"] = h.URL
	o["request"] = obj{"headers": headers, "payload": json.RawMessage(d.Payload)}
	o["response"] = obj{"headers": obj{}, "payload": d.Response}
	return o, nil
}

// redeliver sends a payload again, with the same delivery id as GitHub does,
// so that receivers can recognise it.
func redeliver(c *call) (any, error) {
	_, d, err := c.deliveryOf()
	if err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		d.Redelivery = true
		return t.store(d)
	})
	if err != nil {
		return nil, err
	}
	return reply{status: http.StatusAccepted, body: obj{}}, nil
}
