package deck

import (
	"html/template"

	"prow/internal/deck/ansi"
)

// maxLineBytes is how much of one line of a log is shown.
const maxLineBytes = ansi.MaxLine

// painter turns lines of a log into HTML.
type painter struct{ ansi.Painter }

func (p *painter) line(line textLine) template.HTML { return p.Line(line.Text, line.Length) }
