package local

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the legacy signature header is defined with SHA-1
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	hookTimeout = 10 * time.Second
	// hookAttempts is how often a delivery is tried before it is dead; with
	// the delays below a receiver may be away for about half an hour.
	hookAttempts = 40
	// hookRefusals is the same for receivers that answer 4xx: asking again rarely helps,
	// and later deliveries wait.
	hookRefusals  = 5
	hookFirstWait = 250 * time.Millisecond
	hookMaxWait   = time.Minute
	// hookMaxAge ends deliveries to receivers that stay away.
	hookMaxAge = time.Hour
	// hookParallel bounds deliveries under way.
	hookParallel = 8
	// hookKeep is how long finished deliveries can be looked at and repeated.
	hookKeep     = 3 * 24 * time.Hour
	hookResponse = 4 << 10
)

func hookClient() *http.Client {
	return &http.Client{
		Timeout: hookTimeout,
		// A redirect would carry the signed payload elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// delivery is one webhook to one receiver.
type delivery struct {
	ID, HookID, RepoID  int64
	GUID, Event, Action string
	Payload             []byte
	State               string
	Redelivery          bool
	Attempts            int
	Next                when
	Code                int
	Response            string
	Duration            int64
	Created, Tried      when
	Installation        int64
}

const deliveryCols = "d.id, d.hook_id, d.repo_id, d.guid, d.event, d.action, d.payload, d.state, d.redelivery, d.attempts, d.next, d.code, d.response, d.duration, d.created, d.tried, d.installation_id"

func scanDelivery(s scanner, d *delivery) error {
	return s.Scan(&d.ID, &d.HookID, &d.RepoID, &d.GUID, &d.Event, &d.Action, &d.Payload, &d.State, &d.Redelivery, &d.Attempts, &d.Next, &d.Code, &d.Response, &d.Duration, &d.Created, &d.Tried, &d.Installation)
}

// Run sends webhooks until ctx ends. Deliveries of one hook and repository go
// out one after the other in the order of their causes; one that fails is
// retried with growing delays and holds back those behind it, until it is
// acknowledged with 2xx or given up. What is under way when ctx ends is sent
// again by the next Run: receivers see an event at least once.
func (f *Forge) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	type stream struct{ hook, repo int64 }
	busy := map[stream]bool{}
	done := make(chan stream, hookParallel)
	prune := f.clock.NewTimer(0)
	defer prune.Stop()
	for {
		heads, err := f.pending(ctx)
		if err != nil && ctx.Err() == nil {
			f.log.Error("Reading webhook deliveries failed.", "error", err)
		}
		wait := hookMaxWait
		now := f.clock.Now()
		for i := range heads {
			d := heads[i]
			s := stream{d.HookID, d.RepoID}
			if busy[s] || len(busy) >= hookParallel {
				continue
			}
			if left := d.Next.Sub(now); left > 0 {
				wait = min(wait, left)
				continue
			}
			busy[s] = true
			wg.Go(func() {
				f.attempt(ctx, &d)
				done <- s
			})
		}
		timer := f.clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case s := <-done:
			delete(busy, s)
		case <-f.kick:
		case <-timer.C():
		case <-prune.C():
			f.prune(ctx)
			prune.Reset(time.Hour)
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// pending returns the first waiting delivery of every hook and repository.
func (f *Forge) pending(ctx context.Context) ([]delivery, error) {
	return list(f.read(ctx), scanDelivery, "SELECT "+deliveryCols+` FROM deliveries d WHERE d.id IN (
		SELECT min(id) FROM deliveries WHERE state = 'pending' GROUP BY hook_id, repo_id
		UNION ALL SELECT id FROM deliveries WHERE state = 'held') ORDER BY d.next LIMIT 1000`)
}

// attempt sends one delivery once and stores the outcome.
func (f *Forge) attempt(ctx context.Context, d *delivery) {
	h, err := one(f.read(ctx), scanHook, "SELECT "+hookCols+" FROM hooks h WHERE h.id = ?", d.HookID)
	if err != nil {
		if !errors.Is(err, errNotFound) && ctx.Err() == nil {
			f.log.Error("Reading a webhook failed.", "hook", d.HookID, "error", err)
		}
		return
	}
	var fault *Fault
	if d.State != "held" {
		fault = f.webhookFault(h, d)
	}
	if fault != nil {
		f.faults.wait(ctx, fault.DelaySeconds)
		if held, err := f.meddle(ctx, fault, d); held || err != nil {
			if err != nil && ctx.Err() == nil {
				f.log.Error("Applying a fault to a webhook failed.", "event-GUID", d.GUID, "error", err)
			}
			return
		}
	}
	start := f.clock.Now()
	code, response, err := f.send(ctx, h, d)
	if err == nil && fault != nil && fault.Webhook == "duplicate" {
		code, response, err = f.send(ctx, h, d)
	}
	if err != nil {
		if ctx.Err() != nil {
			return // stopped by us: neither success nor failure
		}
		response = err.Error()
	}
	d.Attempts++
	d.Code, d.Response, d.Duration, d.Tried = code, response, f.clock.Since(start).Milliseconds(), when{start.UTC()}
	d.State, d.Next = outcome(d, f.clock.Now())
	if d.State != "delivered" {
		f.log.Warn("Webhook was not acknowledged.", "hook", h.URL, "event-type", d.Event, "event-GUID", d.GUID, "attempt", d.Attempts, "state", d.State, "code", code, "response", truncate(response, 200))
	}
	err = f.write(context.WithoutCancel(ctx), func(t *txn) error {
		_, err := t.exec("UPDATE deliveries SET attempts = ?, code = ?, response = ?, duration = ?, tried = ?, state = ?, next = ? WHERE id = ?",
			d.Attempts, d.Code, d.Response, d.Duration, d.Tried, d.State, d.Next, d.ID)
		if err == nil && d.State != "pending" {
			err = t.release(d.HookID, d.RepoID)
		}
		return err
	})
	if err != nil {
		f.log.Error("Storing the outcome of a webhook failed; it will be sent again.", "event-GUID", d.GUID, "error", err)
	}
}

// meddle applies a fault that keeps a delivery from being sent now.
func (f *Forge) meddle(ctx context.Context, fault *Fault, d *delivery) (held bool, err error) {
	state, response, until := "", "", d.Next
	switch fault.Webhook {
	case "drop":
		state, response = "dead", "dropped by a fault"
	case "reorder":
		state, response, until = "held", "held back by a fault", when{f.clock.Now().Add(hookHold).UTC()}
	default:
		return false, nil
	}
	return true, f.write(context.WithoutCancel(ctx), func(t *txn) error {
		_, err := t.exec("UPDATE deliveries SET state = ?, response = ?, tried = ?, next = ? WHERE id = ?", state, response, t.now, until, d.ID)
		return err
	})
}

// hookHold is how long a delivery that a fault held back waits for another to overtake it.
const hookHold = 5 * time.Second

// release puts the deliveries that a fault held back behind the one that has
// just been sent.
func (t *txn) release(hookID, repoID int64) error {
	n, err := t.changed(`INSERT INTO deliveries (hook_id, repo_id, installation_id, guid, event, action, payload, redelivery, next, created)
		SELECT hook_id, repo_id, installation_id, guid, event, action, payload, redelivery, ?, created FROM deliveries WHERE hook_id = ? AND repo_id = ? AND state = 'held' ORDER BY id`, t.now, hookID, repoID)
	if err != nil || n == 0 {
		return err
	}
	t.emitted = true
	_, err = t.exec("DELETE FROM deliveries WHERE hook_id = ? AND repo_id = ? AND state = 'held'", hookID, repoID)
	return err
}

// outcome decides what becomes of a delivery after an attempt.
func outcome(d *delivery, now time.Time) (state string, next when) {
	refused := d.Code >= 400 && d.Code < 500 && d.Code != http.StatusRequestTimeout && d.Code != http.StatusTooManyRequests
	switch {
	case d.Code >= 200 && d.Code < 300:
		return "delivered", d.Next
	case d.Attempts >= hookAttempts, refused && d.Attempts >= hookRefusals, now.Sub(d.Created.Time) > hookMaxAge:
		return "dead", d.Next
	}
	wait := hookMaxWait
	if d.Attempts <= 8 {
		wait = min(wait, hookFirstWait<<(d.Attempts-1))
	}
	return "pending", when{now.Add(wait).UTC()}
}

// hookHeaders are the headers of a delivery, signatures included.
func hookHeaders(h *hook, d *delivery) http.Header {
	head := http.Header{}
	head.Set("Content-Type", "application/json")
	body := d.Payload
	if h.ContentType == "form" {
		head.Set("Content-Type", "application/x-www-form-urlencoded")
		body = formBody(d.Payload)
	}
	head.Set("Accept", "*/*")
	head.Set("User-Agent", "GitHub-Hookshot/forge")
	head.Set("X-GitHub-Event", d.Event)
	head.Set("X-GitHub-Delivery", d.GUID)
	head.Set("X-GitHub-Hook-ID", strconv.FormatInt(h.ID, 10))
	target, id := "repository", h.RepoID
	switch {
	case h.OrgID != 0:
		target, id = "organization", h.OrgID
	case h.AppID != 0:
		target, id = "integration", h.AppID
	}
	head.Set("X-GitHub-Hook-Installation-Target-Type", target)
	head.Set("X-GitHub-Hook-Installation-Target-ID", strconv.FormatInt(id, 10))
	if h.Secret != "" {
		head.Set("X-Hub-Signature", sign("sha1", sha1.New, h.Secret, body))
		head.Set("X-Hub-Signature-256", sign("sha256", sha256.New, h.Secret, body))
	}
	return head
}

// formBody is the body of a webhook that is sent as a form.
func formBody(payload []byte) []byte {
	return []byte(url.Values{"payload": {string(payload)}}.Encode())
}

func sign(name string, h func() hash.Hash, secret string, body []byte) string {
	mac := hmac.New(h, []byte(secret))
	mac.Write(body)
	return name + "=" + hex.EncodeToString(mac.Sum(nil))
}

// send posts a delivery once.
func (f *Forge) send(ctx context.Context, h *hook, d *delivery) (int, string, error) {
	body := d.Payload
	if h.ContentType == "form" {
		body = formBody(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("preparing webhook: %w", err)
	}
	req.Header = hookHeaders(h, d)
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, hookResponse))
	if err != nil {
		return 0, "", fmt.Errorf("reading answer to webhook: %w", err)
	}
	return resp.StatusCode, string(bytes.ToValidUTF8(answer, []byte("?"))), nil
}

// prune forgets old deliveries.
func (f *Forge) prune(ctx context.Context) {
	err := f.write(ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM deliveries WHERE state != 'pending' AND created < ?", f.clock.Now().Add(-hookKeep).UnixMilli())
		return err
	})
	if err != nil && ctx.Err() == nil {
		f.log.Error("Removing old webhook deliveries failed.", "error", err)
	}
}

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
