package markdown

import (
	"bytes"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// maxNesting is how deep quotes and lists may be nested in a line. The library takes
// much longer for deeper ones, which nobody writes by hand.
const maxNesting = 100

// maxDefinitions is how many definitions of links there may be: the time for them grows
// with their square.
const maxDefinitions = 5000

var errNested = errors.New("its quotes, lists or brackets are nested too deep, or it defines too many links")

// newMarkdown reads what GitHub reads. Raw HTML is left out, pictures become links,
// and links lead to the web or to a mailbox.
func newMarkdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(
			extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
			extension.Strikethrough, extension.Linkify, extension.TaskList,
		),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(tame{}, 999))),
	)
}

// render makes HTML of Markdown.
func render(md goldmark.Markdown, source []byte) (string, error) {
	source = bytes.ToValidUTF8(source, []byte("\uFFFD"))
	if nestedTooDeep(source) {
		return "", errNested
	}
	var out bytes.Buffer
	if err := md.Convert(source, &out); err != nil {
		return "", err
	}
	return out.String(), nil
}

func nestedTooDeep(source []byte) bool {
	definitions := 0
	for line := range bytes.Lines(source) {
		if bytes.Contains(line, []byte("]:")) {
			if definitions++; definitions > maxDefinitions {
				return true
			}
		}
		n := 0
		for _, b := range bytes.TrimLeft(line, " \t") {
			if strings.IndexByte(">-*+ \t0123456789.)", b) < 0 {
				break
			}
			if strings.IndexByte(">-*+.)", b) >= 0 {
				n++
			}
		}
		// A rule of dashes is no list.
		if n > maxNesting && len(bytes.Trim(line, "-*+ \t\r\n")) > 0 || bytes.Count(line, []byte{'['}) > 10*maxNesting || len(line)-len(bytes.TrimLeft(line, " \t")) > 10*maxNesting {
			return true
		}
	}
	return false
}

// tame changes links and pictures.
type tame struct{}

func (tame) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	var found []ast.Node
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n.(type) {
		case *ast.Link, *ast.Image, *ast.AutoLink, *east.TaskCheckBox:
			if !entering { // what is within comes first
				found = append(found, n)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, n := range found {
		switch n := n.(type) {
		case *east.TaskCheckBox: // nobody can change it, so it is no input
			box := "☐ "
			if n.IsChecked {
				box = "☑ "
			}
			n.Parent().ReplaceChild(n.Parent(), n, ast.NewString([]byte(box)))
		case *ast.Image:
			link := ast.NewLink()
			link.Destination, link.Title = n.Destination, n.Title
			move(n, link)
			if !link.HasChildren() {
				link.AppendChild(link, ast.NewString([]byte("picture")))
			}
			n.Parent().ReplaceChild(n.Parent(), n, link)
			tameLink(link)
		case *ast.Link:
			tameLink(n)
		case *ast.AutoLink:
			if n.AutoLinkType == ast.AutoLinkURL && !allowed(string(n.URL(reader.Source()))) {
				n.Parent().ReplaceChild(n.Parent(), n, ast.NewString(util.EscapeHTML(n.Label(reader.Source()))))
				continue
			}
			mark(n)
		}
	}
}

// tameLink keeps a link, or only what stands in it.
func tameLink(link *ast.Link) {
	inLink := false
	for p := link.Parent(); p != nil; p = p.Parent() {
		inLink = inLink || p.Kind() == ast.KindLink
	}
	if !inLink && allowed(string(link.Destination)) {
		mark(link)
		return
	}
	parent := link.Parent()
	for c := link.FirstChild(); c != nil; {
		next := c.NextSibling()
		parent.InsertBefore(parent, link, c)
		c = next
	}
	parent.RemoveChild(parent, link)
}

func move(from, to ast.Node) {
	for c := from.FirstChild(); c != nil; {
		next := c.NextSibling()
		to.AppendChild(to, c)
		c = next
	}
}

func mark(n ast.Node) {
	n.SetAttributeString("target", []byte("_blank"))
	n.SetAttributeString("rel", []byte("noreferrer noopener"))
}

// allowed tells the addresses that a link may have.
func allowed(address string) bool {
	u, err := url.Parse(address)
	return err == nil && slices.Contains([]string{"http", "https", "mailto"}, u.Scheme) && (u.Host != "" || u.Scheme == "mailto")
}
