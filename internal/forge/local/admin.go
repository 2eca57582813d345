package local

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// adminPath is where the forge itself is steered: faults, seeds and what has
// no counterpart in GitHub's API. It answers only with the admin token and
// only when one was set.
const adminPath = "/_admin/"

type adminRoute struct {
	method, path, help string
	serve              func(f *Forge, ctx context.Context, id int64, body []byte) (any, error)
}

// adminRoutes are the operations; "{id}" takes a number.
func adminRoutes() []adminRoute {
	return []adminRoute{
		{"GET", "faults", "list the rules with how often each was applied", func(f *Forge, _ context.Context, _ int64, _ []byte) (any, error) { return f.faults.list(), nil }},
		{"POST", "faults", "add a rule", func(f *Forge, ctx context.Context, _ int64, body []byte) (any, error) {
			var r Fault
			if err := decodeStrict(body, &r); err != nil {
				return nil, err
			}
			return f.AddFault(ctx, r)
		}},
		{"DELETE", "faults", "remove all rules", func(f *Forge, _ context.Context, _ int64, _ []byte) (any, error) {
			f.RemoveFault(0)
			return nil, nil
		}},
		{"DELETE", "faults/{id}", "remove one rule", func(f *Forge, _ context.Context, id int64, _ []byte) (any, error) {
			if !f.RemoveFault(id) {
				return nil, errNotFound
			}
			return nil, nil
		}},
		{"POST", "seed", "bring the forge in line with a seed, as YAML or JSON", func(f *Forge, ctx context.Context, _ int64, body []byte) (any, error) {
			var s Seed
			if err := decodeStrict(body, &s); err != nil {
				return nil, err
			}
			return nil, f.Apply(ctx, s)
		}},
		{"POST", "workflow-runs", "create a run of a workflow, or change the one with the given id", func(f *Forge, ctx context.Context, _ int64, body []byte) (any, error) {
			var w WorkflowRun
			if err := decodeStrict(body, &w); err != nil {
				return nil, err
			}
			id, err := f.PutWorkflowRun(ctx, w)
			return obj{"id": id}, err
		}},
		{"POST", "invitations/{id}/fail", "let an invitation to an organisation fail for a reason", func(f *Forge, ctx context.Context, id int64, body []byte) (any, error) {
			var in struct{ Reason string }
			if err := decodeStrict(body, &in); err != nil {
				return nil, err
			}
			return nil, f.write(ctx, func(t *txn) error {
				n, err := t.changed("UPDATE org_invitations SET failed = ?, reason = ? WHERE id = ?", t.now, in.Reason, id)
				if err == nil && n == 0 {
					err = errNotFound
				}
				return err
			})
		}},
		{"GET", "queue", "count the webhooks that wait", func(f *Forge, ctx context.Context, _ int64, _ []byte) (any, error) {
			n, err := f.read(ctx).count("SELECT count(*) FROM deliveries WHERE state IN ('pending', 'held')")
			return obj{"pending": n}, err
		}},
	}
}

func decodeStrict(body []byte, into any) error {
	if len(body) == 0 {
		return nil
	}
	if err := yaml.UnmarshalStrict(body, into); err != nil {
		return badRequest(err.Error())
	}
	return nil
}

// AddFault puts a rule in force and returns it with its number.
func (f *Forge) AddFault(ctx context.Context, r Fault) (*Fault, error) {
	if r.stale() {
		if err := f.past.begin(ctx); err != nil {
			return nil, err
		}
	}
	made, err := f.faults.add(r)
	if err != nil {
		return nil, badRequest(err.Error())
	}
	return made, nil
}

// RemoveFault ends the rule with a number, or all with 0.
func (f *Forge) RemoveFault(id int64) bool {
	ok := f.faults.remove(id)
	for _, r := range f.faults.list() {
		if r.stale() {
			return ok
		}
	}
	f.past.end()
	return ok
}

// serveAdmin answers everything below [adminPath].
func (f *Forge) serveAdmin(w http.ResponseWriter, r *http.Request) {
	if f.opts.AdminToken == "" {
		f.fail(w, r, errAPINotFound)
		return
	}
	if subtle.ConstantTimeCompare([]byte(bearer(r)), []byte(f.opts.AdminToken)) != 1 {
		f.fail(w, r, errBadToken)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		f.fail(w, r, err)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, adminPath)
	for _, rt := range adminRoutes() {
		id, ok := rt.match(r.Method, path)
		if !ok {
			continue
		}
		out, err := rt.serve(f, r.Context(), id, body)
		switch {
		case err != nil && !errors.Is(err, errNotFound) && !isAPIError(err):
			f.fail(w, r, badRequest(err.Error())) // the operator is the one who can mend it
		case err != nil:
			f.fail(w, r, err)
		case out == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusOK, out)
		}
		return
	}
	f.fail(w, r, errAPINotFound)
}

func isAPIError(err error) bool {
	var ae *apiError
	return errors.As(err, &ae)
}

func (rt adminRoute) match(method, path string) (int64, bool) {
	if method != rt.method {
		return 0, false
	}
	before, after, numbered := strings.Cut(rt.path, "{id}")
	if !numbered {
		return 0, path == rt.path
	}
	num, ok := strings.CutPrefix(path, before)
	if ok {
		num, ok = strings.CutSuffix(num, after)
	}
	id, err := strconv.ParseInt(num, 10, 64)
	return id, ok && err == nil && id > 0
}

// adminHelp lists the operations for --help.
func adminHelp() string {
	var b strings.Builder
	for _, rt := range adminRoutes() {
		fmt.Fprintf(&b, "  %-6s %s%-22s %s\n", rt.method, adminPath, rt.path, rt.help)
	}
	return b.String()
}
