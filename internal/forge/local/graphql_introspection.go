package local

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// This file answers __schema and __type: clients such as gh ask which fields
// a server knows before they use them.

func (c *graphCall) schemaObj() obj {
	s := c.graph.schema
	root := func(d *ast.Definition) any {
		if d == nil {
			return nil
		}
		return c.typeObj(d)
	}
	return obj{
		"__typename": "__Schema", "description": nil, "queryType": root(s.Query), "mutationType": root(s.Mutation), "subscriptionType": root(s.Subscription),
		"types": lazy(func(map[string]any) (any, error) {
			var names []string
			for n := range s.Types {
				names = append(names, n)
			}
			slices.Sort(names)
			out := []any{}
			for _, n := range names {
				out = append(out, c.typeObj(s.Types[n]))
			}
			return out, nil
		}),
		"directives": lazy(func(map[string]any) (any, error) {
			var names []string
			for n := range s.Directives {
				names = append(names, n)
			}
			slices.Sort(names)
			out := []any{}
			for _, n := range names {
				d := s.Directives[n]
				places := []any{}
				for _, l := range d.Locations {
					places = append(places, string(l))
				}
				out = append(out, obj{"__typename": "__Directive", "name": d.Name, "description": orNull(d.Description), "locations": places, "args": c.argObjs(d.Arguments), "isRepeatable": d.IsRepeatable})
			}
			return out, nil
		}),
	}
}

func (c *graphCall) typeByName(args map[string]any) (any, error) {
	d := c.graph.schema.Types[strArg(args, "name")]
	if d == nil {
		return nil, nil
	}
	return c.typeObj(d), nil
}

// typeObj renders a named type. Its parts are computed when they are asked for,
// because types refer to each other in circles.
func (c *graphCall) typeObj(d *ast.Definition) obj {
	s := c.graph.schema
	named := func(list []string) []any {
		out := []any{}
		for _, n := range list {
			if t := s.Types[n]; t != nil {
				out = append(out, c.typeObj(t))
			}
		}
		return out
	}
	return obj{
		"__typename": "__Type", "kind": string(d.Kind), "name": d.Name, "description": orNull(d.Description), "ofType": nil, "specifiedByURL": nil,
		"fields": lazy(func(map[string]any) (any, error) {
			if d.Kind != ast.Object && d.Kind != ast.Interface {
				return nil, nil
			}
			out := []any{}
			for _, f := range d.Fields {
				if strings.HasPrefix(f.Name, "__") {
					continue
				}
				out = append(out, obj{"__typename": "__Field", "name": f.Name, "description": orNull(f.Description), "args": c.argObjs(f.Arguments), "type": c.refObjOf(f.Type), "isDeprecated": false, "deprecationReason": nil})
			}
			return out, nil
		}),
		"interfaces": lazy(func(map[string]any) (any, error) {
			if d.Kind != ast.Object && d.Kind != ast.Interface {
				return nil, nil
			}
			return named(d.Interfaces), nil
		}),
		"possibleTypes": lazy(func(map[string]any) (any, error) {
			if d.Kind != ast.Union && d.Kind != ast.Interface {
				return nil, nil
			}
			out := []any{}
			for _, t := range s.GetPossibleTypes(d) {
				out = append(out, c.typeObj(t))
			}
			return out, nil
		}),
		"enumValues": lazy(func(map[string]any) (any, error) {
			if d.Kind != ast.Enum {
				return nil, nil
			}
			out := []any{}
			for _, v := range d.EnumValues {
				out = append(out, obj{"__typename": "__EnumValue", "name": v.Name, "description": orNull(v.Description), "isDeprecated": false, "deprecationReason": nil})
			}
			return out, nil
		}),
		"inputFields": lazy(func(map[string]any) (any, error) {
			if d.Kind != ast.InputObject {
				return nil, nil
			}
			out := []any{}
			for _, f := range d.Fields {
				out = append(out, obj{"__typename": "__InputValue", "name": f.Name, "description": orNull(f.Description), "type": c.refObjOf(f.Type), "defaultValue": defaultOf(f.DefaultValue), "isDeprecated": false, "deprecationReason": nil})
			}
			return out, nil
		}),
	}
}

func (c *graphCall) argObjs(list ast.ArgumentDefinitionList) []any {
	out := []any{}
	for _, a := range list {
		out = append(out, obj{"__typename": "__InputValue", "name": a.Name, "description": orNull(a.Description), "type": c.refObjOf(a.Type), "defaultValue": defaultOf(a.DefaultValue), "isDeprecated": false, "deprecationReason": nil})
	}
	return out
}

func defaultOf(v *ast.Value) any {
	if v == nil {
		return nil
	}
	return v.String()
}

// refObjOf renders a reference to a type with its lists and non-nulls around it.
func (c *graphCall) refObjOf(t *ast.Type) obj {
	wrap := func(kind string, inner obj) obj {
		return obj{
			"__typename": "__Type", "kind": kind, "name": nil, "description": nil, "ofType": inner, "specifiedByURL": nil,
			"fields": nil, "interfaces": nil, "possibleTypes": nil, "enumValues": nil, "inputFields": nil,
		}
	}
	if t.NonNull {
		plain := *t
		plain.NonNull = false
		return wrap("NON_NULL", c.refObjOf(&plain))
	}
	if t.Elem != nil {
		return wrap("LIST", c.refObjOf(t.Elem))
	}
	if d := c.graph.schema.Types[t.NamedType]; d != nil {
		return c.typeObj(d)
	}
	return obj{}
}
