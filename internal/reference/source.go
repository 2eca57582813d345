package reference

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// modulePrefix starts the paths of packages whose types are described.
const modulePrefix = "prow/"

// Source reads the comments of packages of this module.
type Source struct {
	root     string
	packages map[string]map[string]typeDoc
}

// typeDoc is what the source says about a type and its fields, by Go name.
type typeDoc struct {
	text   string
	fields map[string]string
}

// NewSource reads below the directory of the module.
func NewSource(root string) *Source {
	return &Source{root: root, packages: map[string]map[string]typeDoc{}}
}

func (s *Source) ofType(t reflect.Type) (typeDoc, error) {
	path := t.PkgPath()
	types, known := s.packages[path]
	if !known {
		var err error
		if types, err = readPackage(filepath.Join(s.root, strings.TrimPrefix(path, modulePrefix))); err != nil {
			return typeDoc{}, fmt.Errorf("reading the source of %s: %w", path, err)
		}
		s.packages[path] = types
	}
	doc, ok := types[t.Name()]
	if !ok {
		return typeDoc{}, fmt.Errorf("the source of %s does not declare %s", path, t.Name())
	}
	return doc, nil
}

func readPackage(dir string) (map[string]typeDoc, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	out := map[string]typeDoc{}
	set := token.NewFileSet()
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.TYPE {
				continue
			}
			for _, spec := range group.Specs {
				ts := spec.(*ast.TypeSpec)
				about := ts.Doc
				if about == nil {
					about = group.Doc
				}
				doc := typeDoc{text: forReaders(text(about), map[string]string{ts.Name.Name: ""}), fields: map[string]string{}}
				if st, ok := ts.Type.(*ast.StructType); ok {
					fieldDocs(st, doc.fields)
				}
				out[ts.Name.Name] = doc
			}
		}
	}
	return out, nil
}

func fieldDocs(st *ast.StructType, into map[string]string) {
	previous := ""
	for _, field := range st.Fields.List {
		about := text(field.Doc)
		if about == "" {
			about = text(field.Comment)
		}
		for _, name := range field.Names {
			// One comment may speak of this field and those that follow.
			if about == "" && regexp.MustCompile(`\b`+name.Name+`\b`).MatchString(previous) {
				about = previous
			}
			into[name.Name] = about
		}
		if about != "" {
			previous = about
		}
	}
}

// text is a comment without what is meant for tools.
func text(group *ast.CommentGroup) string {
	if group == nil {
		return ""
	}
	var kept []string
	for line := range strings.SplitSeq(group.Text(), "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "+") {
			kept = append(kept, line)
		}
	}
	var parser comment.Parser
	printer := comment.Printer{TextWidth: -1}
	return strings.TrimSpace(string(printer.Text(parser.Parse(strings.Join(kept, "\n")))))
}

var (
	// forProgrammers are sentences that speak of the Go API.
	forProgrammers = regexp.MustCompile(`\s*(Read|Use|Call) [A-Z][A-Za-z.]+(\([^)]*\))? (instead|for [^.]*)\.|[;,] see [A-Z]?[a-z]+[A-Z][A-Za-z]+\b|\s*It is never nil\.|; never nil[^.;]*`)
	spaces         = regexp.MustCompile(`[ \t]*\n[ \t]*`)
)

// forReaders turns a Go comment into prose for people who write files: field
// names become keys, and the name of the thing itself goes from the front.
func forReaders(doc string, keys map[string]string) string {
	doc = forProgrammers.ReplaceAllString(doc, "")
	first, rest, _ := strings.Cut(doc, " ")
	if key, own := keys[first]; own {
		switch verb, after, _ := strings.Cut(rest, " "); verb {
		case "is", "are":
			doc = after
		case "and":
			doc = "`" + key + "` " + rest
		default:
			doc = rest
		}
	}
	for name, key := range keys {
		// Plain words such as Gerrit or Labels stay words; a name that is not
		// its key in capitals can only mean the field.
		if key != "" && key != strings.ToLower(name) {
			doc = regexp.MustCompile("(^|[^`A-Za-z])"+name+`\b`).ReplaceAllString(doc, "${1}`"+key+"`")
		}
	}
	doc = spaces.ReplaceAllString(strings.TrimSpace(doc), " ")
	if r, size := utf8.DecodeRuneInString(doc); unicode.IsLower(r) {
		doc = string(unicode.ToUpper(r)) + doc[size:]
	}
	return doc
}
