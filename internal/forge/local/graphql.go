package local

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// GraphQL here is three things: GitHub's schema, cut to what this forge has
// (schema.graphql); a parser and validator from a library, which give clients
// the errors they would get from GitHub; and the small executor below, which
// walks a validated query over objects whose fields are values or functions
// (the other graphql_ files). One request runs on one goroutine.

//go:embed schema.graphql
var graphSchema string

const (
	maxGraphRequest = 1 << 20
	maxGraphTokens  = 20_000
	// maxGraphFields bounds the answer, as GitHub's node limit does.
	maxGraphFields = 500_000
	maxGraphDepth  = 30
)

// graph is the loaded schema.
type graph struct {
	schema *ast.Schema
	rules  *rules.Rules
}

func newGraph() (*graph, error) {
	s, err := validator.LoadSchema(validator.Prelude, &ast.Source{Name: "schema.graphql", Input: graphSchema})
	if err != nil {
		return nil, fmt.Errorf("loading GraphQL schema: %w", err)
	}
	r := rules.NewDefaultRules()
	// GitHub lets one alias stand for fields of different types in different
	// fragments ("state" of issues and pull requests), and clients rely on it.
	r.RemoveRule("OverlappingFieldsCanBeMerged")
	return &graph{s, r}, nil
}

// lazy is a field that is computed when a query asks for it.
type lazy func(args map[string]any) (any, error)

// graphCall is the execution of one request.
type graphCall struct {
	*reader
	viewer *account
	graph  *graph
	vars   map[string]any
	doc    *ast.QueryDocument
	errs   []obj
	fields int
	// mutating is the mutation that runs, for its errors.
	mutating string
}

// graphError is an error of a resolver with GitHub's type word.
type graphError struct{ kind, message string }

func (e *graphError) Error() string { return e.message }

func (f *Forge) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodPost {
		f.fail(w, r, &apiError{Status: http.StatusMethodNotAllowed, Message: "Method Not Allowed"})
		return
	}
	viewer, err := f.viewerOf(r.Context(), r)
	if err != nil {
		f.fail(w, r, err)
		return
	}
	if viewer == nil { // as on GitHub, GraphQL is never anonymous
		f.fail(w, r, &apiError{Status: http.StatusUnauthorized, Message: "This endpoint requires you to be authenticated."})
		return
	}
	who := (&caller{account: viewer}).who()
	done, err := f.rates.secondary(who, http.MethodGet)
	if err != nil {
		f.fail(w, r, err)
		return
	}
	defer done()
	state, ok := f.rates.spend(who, "graphql", 1)
	state.header(w.Header())
	if !ok {
		writeJSON(w, http.StatusOK, obj{"errors": []obj{{"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID " + strconv.FormatInt(viewer.ID, 10) + "."}}})
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGraphRequest))
	if err != nil {
		f.fail(w, r, err)
		return
	}
	var in struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	if err := dec.Decode(&in); err != nil {
		f.fail(w, r, badRequest("Problems parsing JSON"))
		return
	}
	if strings.TrimSpace(in.Query) == "" {
		writeJSON(w, http.StatusOK, obj{"errors": []obj{{"message": "A query attribute must be specified and must be a string."}}})
		return
	}
	writeJSON(w, http.StatusOK, f.query(r.Context(), viewer, in.Query, in.OperationName, in.Variables))
}

// query runs one GraphQL request and returns {data, errors}.
func (f *Forge) query(ctx context.Context, viewer *account, text, operation string, vars map[string]any) obj {
	g := f.ql
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxGraphTokens)
	if err != nil {
		var ge *gqlerror.Error
		if errors.As(err, &ge) {
			return obj{"errors": []obj{validationError(ge)}}
		}
		return obj{"errors": []obj{{"message": err.Error()}}}
	}
	if list := validator.ValidateWithRules(g.schema, doc, g.rules); len(list) > 0 {
		var out []obj
		for _, e := range list {
			out = append(out, validationError(e))
		}
		return obj{"errors": out}
	}
	op := doc.Operations.ForName(operation)
	if op == nil {
		return obj{"errors": []obj{{"message": "An operation name is required"}}}
	}
	values, err := validator.VariableValues(g.schema, op, vars)
	if err != nil {
		return obj{"errors": []obj{{"message": err.Error(), "extensions": obj{"code": "argumentLiteralsIncompatible"}}}}
	}
	c := &graphCall{reader: f.read(ctx), viewer: viewer, graph: g, vars: values, doc: doc}
	root, def := c.queryRoot(), g.schema.Query
	switch op.Operation {
	case ast.Mutation:
		root, def = c.mutationRoot(), g.schema.Mutation
	case ast.Subscription:
		return obj{"errors": []obj{{"message": "Subscriptions are not supported"}}}
	}
	data := c.object(def, root, op.SelectionSet, nil)
	out := obj{"data": data}
	if len(c.errs) > 0 {
		out["errors"] = c.errs
	}
	return out
}

// validationError words the most frequent mistake as GitHub does.
func validationError(e *gqlerror.Error) obj {
	o := obj{"message": e.Message}
	if len(e.Locations) > 0 {
		o["locations"] = e.Locations
	}
	if e.Rule == "FieldsOnCorrectType" {
		if p := strings.Split(e.Message, `"`); len(p) >= 4 {
			o["message"] = fmt.Sprintf("Field '%s' doesn't exist on type '%s'", p[1], p[3])
			o["path"] = []any{"query", p[1]}
			o["extensions"] = obj{"code": "undefinedField", "typeName": p[3], "fieldName": p[1]}
		}
	}
	return o
}

// object executes a selection on an object.
func (c *graphCall) object(def *ast.Definition, o obj, set ast.SelectionSet, path []any) obj {
	out := obj{}
	for _, f := range c.collect(def, set, nil) {
		at := append(slices.Clone(path), f.Alias)
		if c.fields++; c.fields > maxGraphFields || len(path) > maxGraphDepth {
			if c.fields <= maxGraphFields+1 || len(c.errs) == 0 {
				c.fail(f, at, &graphError{"MAX_NODE_LIMIT_EXCEEDED", "This query requests too much data."})
			}
			out[f.Alias] = nil
			return out
		}
		if f.Name == "__typename" {
			out[f.Alias] = def.Name
			continue
		}
		v, ok := o[f.Name]
		if !ok {
			c.fail(f, at, &graphError{"NOT_IMPLEMENTED", fmt.Sprintf("This forge does not know the field '%s' of '%s'", f.Name, def.Name)})
			out[f.Alias] = nil
			continue
		}
		if fn, isFunc := v.(lazy); isFunc {
			var err error
			if v, err = fn(f.ArgumentMap(c.vars)); err != nil {
				c.fail(f, at, err)
				v = nil
			}
		}
		out[f.Alias] = c.value(f, f.Definition.Type, v, mergedSet(def, set, f, c), at)
	}
	return out
}

// mergedSet joins the selections of all fields with one alias: fragments may
// each ask for a part of the same object.
func mergedSet(def *ast.Definition, set ast.SelectionSet, f *ast.Field, c *graphCall) ast.SelectionSet {
	var out ast.SelectionSet
	c.each(def, set, func(other *ast.Field) {
		if other.Alias == f.Alias {
			out = append(out, other.SelectionSet...)
		}
	})
	return out
}

// collect returns the fields of a selection that apply to a type, the first
// of each alias.
func (c *graphCall) collect(def *ast.Definition, set ast.SelectionSet, into []*ast.Field) []*ast.Field {
	seen := map[string]bool{}
	c.each(def, set, func(f *ast.Field) {
		if !seen[f.Alias] {
			seen[f.Alias] = true
			into = append(into, f)
		}
	})
	return into
}

// each visits the fields of a selection with fragments resolved.
func (c *graphCall) each(def *ast.Definition, set ast.SelectionSet, visit func(*ast.Field)) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if c.included(s.Directives) {
				visit(s)
			}
		case *ast.InlineFragment:
			if c.included(s.Directives) && c.applies(s.TypeCondition, def) {
				c.each(def, s.SelectionSet, visit)
			}
		case *ast.FragmentSpread:
			if f := c.doc.Fragments.ForName(s.Name); f != nil && c.included(s.Directives) && c.applies(f.TypeCondition, def) {
				c.each(def, f.SelectionSet, visit)
			}
		}
	}
}

func (c *graphCall) applies(condition string, def *ast.Definition) bool {
	if condition == "" || condition == def.Name {
		return true
	}
	t := c.graph.schema.Types[condition]
	return t != nil && slices.ContainsFunc(c.graph.schema.GetPossibleTypes(t), func(d *ast.Definition) bool { return d.Name == def.Name })
}

func (c *graphCall) included(list ast.DirectiveList) bool {
	for _, d := range list {
		if on, ok := d.ArgumentMap(c.vars)["if"].(bool); ok && (d.Name == "skip" && on || d.Name == "include" && !on) {
			return false
		}
	}
	return true
}

// value shapes a resolved value after its type.
func (c *graphCall) value(f *ast.Field, t *ast.Type, v any, set ast.SelectionSet, path []any) any {
	if v == nil {
		return nil
	}
	if t.Elem != nil {
		items, ok := v.([]any)
		if !ok {
			return nil
		}
		out := make([]any, len(items))
		for i, it := range items {
			out[i] = c.value(f, t.Elem, it, set, append(slices.Clone(path), i))
		}
		return out
	}
	o, isObj := v.(obj)
	if !isObj {
		return v
	}
	if o == nil {
		return nil
	}
	def := c.graph.schema.Types[t.Name()]
	if name, ok := o["__typename"].(string); ok {
		def = c.graph.schema.Types[name]
	}
	return c.object(def, o, set, path)
}

// fail adds an error in GitHub's shape.
func (c *graphCall) fail(f *ast.Field, path []any, err error) {
	o := obj{"path": path, "message": err.Error()}
	if f.Position != nil {
		o["locations"] = []obj{{"line": f.Position.Line, "column": f.Position.Column}}
	}
	var ge *graphError
	var ae *apiError
	switch {
	case errors.As(err, &ge):
		o["type"] = ge.kind
	case errors.As(err, &ae):
		o["type"] = map[int]string{403: "FORBIDDEN", 404: "NOT_FOUND"}[ae.Status]
		if o["type"] == "" {
			o["type"] = "UNPROCESSABLE"
		}
		for _, e := range ae.Errors {
			if m, ok := e["message"].(string); ok {
				o["message"] = m
			}
		}
	case errors.Is(err, errNotFound), errors.Is(err, errNoObject):
		o["type"] = "NOT_FOUND"
	default:
		c.f.log.Error("Resolving a GraphQL field failed.", "field", f.Name, "error", err)
		o["message"] = "Something went wrong while executing your query."
	}
	c.errs = append(c.errs, o)
}

// connect cuts a connection out of a list and wraps it as GitHub does. Cursors
// are positions.
func connect[T any](field string, args map[string]any, items []T, render func(*T) (obj, error)) (any, error) {
	first, hasFirst := intArg(args, "first")
	last, hasLast := intArg(args, "last")
	if !hasFirst && !hasLast { // counting needs no page
		missing := lazy(func(map[string]any) (any, error) {
			return nil, &graphError{"MISSING_PAGINATION_BOUNDARIES", fmt.Sprintf("You must provide a `first` or `last` value to properly paginate the `%s` connection.", field)}
		})
		return obj{"nodes": missing, "edges": missing, "pageInfo": missing, "totalCount": len(items)}, nil
	}
	if max(first, last) > 100 {
		return nil, &graphError{"EXCESSIVE_PAGINATION", fmt.Sprintf("Requesting %d records on the `%s` connection exceeds the `first` limit of 100 records.", max(first, last), field)}
	}
	from, to := 0, len(items)
	if s, ok := args["after"].(string); ok {
		n, err := fromCursor(s)
		if err != nil {
			return nil, err
		}
		from = min(n, len(items))
	}
	if s, ok := args["before"].(string); ok {
		n, err := fromCursor(s)
		if err != nil {
			return nil, err
		}
		to = max(from, min(n-1, len(items)))
	}
	if hasFirst {
		to = min(to, from+max(0, first))
	} else {
		from = max(from, to-max(0, last))
	}
	page := obj{"hasNextPage": to < len(items), "hasPreviousPage": from > 0, "startCursor": nil, "endCursor": nil}
	if to > from {
		page["startCursor"], page["endCursor"] = cursor(from+1), cursor(to)
	}
	nodes := make([]any, 0, to-from)
	edges := make([]any, 0, to-from)
	for i := from; i < to; i++ {
		o, err := render(&items[i])
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, o)
		edge := obj{"cursor": cursor(i + 1), "node": o}
		for _, own := range []string{"permission", "role"} { // belong to the edge
			if v, ok := o[own]; ok {
				edge[own] = v
			}
		}
		edge["hasTwoFactorEnabled"] = nil
		edges = append(edges, edge)
	}
	return obj{"nodes": nodes, "edges": edges, "pageInfo": page, "totalCount": len(items)}, nil
}

func cursor(n int) string {
	return base64.StdEncoding.EncodeToString([]byte("cursor:" + strconv.Itoa(n)))
}

func fromCursor(s string) (int, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		if rest, ok := strings.CutPrefix(string(raw), "cursor:"); ok {
			if n, err := strconv.Atoi(rest); err == nil && n >= 0 {
				return n, nil
			}
		}
	}
	return 0, &graphError{"INVALID_CURSOR_ARGUMENTS", fmt.Sprintf("`%s` does not appear to be a valid cursor.", truncate(s, 50))}
}

func intArg(args map[string]any, name string) (int, bool) {
	switch n := args[name].(type) {
	case int64:
		return int(n), true
	case int:
		return n, true
	case float64:
		return int(n), true
	case json.Number:
		v, err := n.Int64()
		return int(v), err == nil
	}
	return 0, false
}

func strArg(args map[string]any, name string) string {
	s, _ := args[name].(string)
	return s
}

func listArg(args map[string]any, name string) []string {
	items, _ := args[name].([]any)
	var out []string
	for _, it := range items {
		if s, ok := it.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
