package pluginconfig_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// TestEveryFieldIsDocumented keeps the reference of the file complete, which is
// made from the comments.
func TestEveryFieldIsDocumented(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	for _, path := range paths {
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range structure.Fields.List {
				if field.Tag != nil && field.Doc.Text() == "" {
					t.Errorf("%s: %s.%s has no comment", files.Position(field.Pos()), spec.Name, field.Names[0])
				}
			}
			return true
		})
	}
}
