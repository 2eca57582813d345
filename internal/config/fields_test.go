package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestEveryFieldIsDocumented: the reference documentation is made from these
// comments, so each field needs its own, and each type.
func TestEveryFieldIsDocumented(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				return true
			}
			for _, spec := range decl.Specs {
				typ := spec.(*ast.TypeSpec)
				fields, ok := typ.Type.(*ast.StructType)
				if !ok || !typ.Name.IsExported() {
					continue
				}
				for _, f := range fields.Fields.List {
					if f.Tag == nil || len(f.Names) == 0 || !f.Names[0].IsExported() {
						continue
					}
					tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
					if tag == "" || tag == "-" {
						continue
					}
					if text := strings.TrimSpace(f.Doc.Text()); !strings.HasSuffix(text, ".") {
						t.Errorf("%s.%s (%s) has no comment that ends in a full stop", typ.Name, f.Names[0], tag)
					}
				}
			}
			return true
		})
	}
}
