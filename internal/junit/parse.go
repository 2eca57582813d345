package junit

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Options bound what is read; 0 is the default.
type Options struct {
	// Bytes is the size of the file. The default is 100 MB.
	Bytes int64
	// Cases is how many cases a file may have. The default is 200,000.
	Cases int
	// Text is how many bytes of one text are kept: the rest is left out, which the text
	// then says. The default is 1 MiB.
	Text int
	// OutcomesOnly keeps no messages, texts, output and properties.
	OutcomesOnly bool
}

const (
	maxDepth      = 64
	maxProperties = 100
	maxPieces     = 100
	maxName       = 4 << 10
)

// Errors of files.
var (
	// ErrTooMuch: the file is larger or deeper than what is read of it.
	ErrTooMuch = errors.New("that is more than is read")
	// ErrNotJUnit: the root is no element of JUnit.
	ErrNotJUnit = errors.New("the root is neither testsuites nor testsuite")
)

// Parse reads a file. An empty one has no cases. Cases of nested suites stand before
// those of the suite around them. If the file is broken, the cases up to there are
// returned with the error.
func Parse(r io.Reader, o Options) ([]Case, error) {
	if o.Bytes <= 0 {
		o.Bytes = 100_000_000
	}
	if o.Cases <= 0 {
		o.Cases = 200_000
	}
	if o.Text <= 0 {
		o.Text = 1 << 20
	}
	limited := &io.LimitedReader{R: r, N: o.Bytes + 1}
	d := xml.NewDecoder(newCleaner(limited))
	d.Strict = false
	// The cleaner has made it UTF-8, whatever it says.
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	p := parser{d: d, o: o}
	err := p.run()
	if limited.N <= 0 {
		err = fmt.Errorf("the file has more than %d bytes: %w", o.Bytes, ErrTooMuch)
	}
	return p.finish(), err
}

// suite is one that is open.
type suite struct {
	name string
	// depth is that of its element.
	depth       int
	nested, own []Case
}

type parser struct {
	d      *xml.Decoder
	o      Options
	suites []suite
	cases  int
	depth  int
	// open is the case that is read, with where it began; nil outside of one.
	open      *Case
	openDepth int
	// earlier are failed runs of the open case before the last one.
	earlier []Case
	failure string // the element that is read into the open case
	// text takes what stands in an element; nil drops it.
	text      *strings.Builder
	textDepth int
	lost      int
	// pieces counts the texts of the open case, which are joined.
	pieces int
}

func (p *parser) run() error {
	for {
		token, err := p.d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is no XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			p.depth++
			if p.depth > maxDepth {
				return fmt.Errorf("elements are nested more than %d deep: %w", maxDepth, ErrTooMuch)
			}
			if p.depth == 1 && t.Name.Local != "testsuites" && t.Name.Local != "testsuite" {
				return fmt.Errorf("%w but %s", ErrNotJUnit, cut(t.Name.Local, 100))
			}
			if err := p.begin(t); err != nil {
				return err
			}
		case xml.EndElement:
			p.end()
			p.depth--
		case xml.CharData:
			if p.depth == 0 && len(p.suites) == 0 && len(bytes.TrimSpace(t)) > 0 {
				return fmt.Errorf("%w: it begins with text", ErrNotJUnit)
			}
			if p.text != nil {
				n := min(len(t), p.o.Text-p.text.Len())
				p.text.Write(t[:n])
				p.lost += len(t) - n
			}
		}
	}
}

func (p *parser) begin(t xml.StartElement) error {
	switch name := t.Name.Local; {
	case p.open != nil:
		p.beginInCase(name, t)
	case name == "testsuites" || name == "testsuite":
		p.suites = append(p.suites, suite{name: cut(attribute(t, "name"), maxName), depth: p.depth})
	case name == "testcase" && len(p.suites) > 0:
		if p.cases++; p.cases > p.o.Cases {
			return fmt.Errorf("there are more than %d cases: %w", p.o.Cases, ErrTooMuch)
		}
		p.pieces = 0
		p.open, p.openDepth = &Case{
			Suite: p.suites[len(p.suites)-1].name, Class: cut(attribute(t, "classname"), maxName), Name: cut(attribute(t, "name"), maxName),
			Run: Run{Duration: seconds(attribute(t, "time"))},
		}, p.depth
	}
	return nil
}

func (p *parser) beginInCase(name string, t xml.StartElement) {
	c := p.open
	switch name {
	case "failure", "error", "skipped":
		if name == "skipped" {
			c.Outcome = Skipped
		} else if c.Outcome != Skipped {
			c.Outcome = Failed
		}
		p.explain(c, name, t)
	case "flakyFailure", "flakyError", "rerunFailure", "rerunError":
		// A program that ran the test again by itself tells so within one case.
		if len(p.earlier) < maxProperties {
			p.earlier = append(p.earlier, Case{Suite: c.Suite, Class: c.Class, Name: c.Name, Run: Run{Outcome: Failed}})
			p.explain(&p.earlier[len(p.earlier)-1], name, t)
		}
	case "system-out", "system-err":
		if p.failure == "" {
			p.collect(name)
		}
	case "property":
		if !p.o.OutcomesOnly && len(c.Properties) < maxProperties {
			c.Properties = append(c.Properties, Property{cut(attribute(t, "name"), maxName), cut(attribute(t, "value"), maxName)})
		}
	}
}

// explain keeps the attributes of a failure, and collects its text. Of several of one
// case the first message counts, and all texts.
func (p *parser) explain(c *Case, name string, t xml.StartElement) {
	if p.o.OutcomesOnly || p.failure != "" {
		return
	}
	if c.Message == "" {
		c.Message = cut(attribute(t, "message"), p.o.Text)
	}
	if c.Kind == "" {
		c.Kind = cut(attribute(t, "type"), maxName)
	}
	p.collect(name)
}

func (p *parser) collect(name string) {
	if p.o.OutcomesOnly || p.text != nil {
		return
	}
	if p.pieces++; p.pieces <= maxPieces {
		p.failure, p.text, p.textDepth, p.lost = name, new(strings.Builder), p.depth, 0
	}
}

func (p *parser) end() {
	if p.text != nil && p.depth == p.textDepth {
		p.store()
	}
	if p.open != nil && p.depth == p.openDepth {
		s := &p.suites[len(p.suites)-1]
		s.own = append(append(s.own, p.earlier...), *p.open)
		p.open, p.earlier = nil, nil
	}
	if n := len(p.suites); p.open == nil && n > 0 && p.suites[n-1].depth == p.depth && n > 1 {
		p.close()
	}
}

func (p *parser) store() {
	text := strings.Trim(p.text.String(), "\n")
	if strings.TrimSpace(text) == "" {
		text = ""
	}
	if p.lost > 0 {
		text += fmt.Sprintf("\n… %d more bytes", p.lost)
	}
	into := &p.open.Text
	switch p.failure {
	case "system-out":
		into = &p.open.Stdout
	case "system-err":
		into = &p.open.Stderr
	case "flakyFailure", "flakyError", "rerunFailure", "rerunError":
		into = &p.earlier[len(p.earlier)-1].Text
	}
	if *into != "" && text != "" {
		text = *into + "\n" + text
	}
	if text != "" {
		*into = text
	}
	p.text, p.failure = nil, ""
}

// close hands the cases of the innermost suite to the one around it.
func (p *parser) close() {
	n := len(p.suites)
	s, around := p.suites[n-1], &p.suites[n-2]
	around.nested = append(append(around.nested, s.nested...), s.own...)
	p.suites = p.suites[:n-1]
}

// finish closes what is still open.
func (p *parser) finish() []Case {
	if p.text != nil {
		p.store()
	}
	if p.open != nil {
		s := &p.suites[len(p.suites)-1]
		s.own = append(append(s.own, p.earlier...), *p.open)
	}
	for len(p.suites) > 1 {
		p.close()
	}
	if len(p.suites) == 0 {
		return nil
	}
	return append(p.suites[0].nested, p.suites[0].own...)
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// cut keeps the first bytes of a text, and says so.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + fmt.Sprintf("… %d more bytes", len(s)-limit)
}
