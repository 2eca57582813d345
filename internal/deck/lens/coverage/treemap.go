package coverage

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The drawing is so large, in units of its own.
const (
	mapWidth  = 1000
	mapHeight = 420
	// header is the room for the name of a directory.
	header = 15
	// smallest is the side of a rectangle that is worth being split or named.
	smallest = 26
	// maxRects bounds the drawing.
	maxRects = 3000
	// maxDepth is how deep directories are drawn.
	maxDepth = 16
)

// node is a directory or a file.
type node struct {
	name           string
	covered, total int64
	children       []*node
	// index is that of a file in the profile; -1 of directories.
	index int
}

// tree makes directories of the paths of files. A directory with one child is joined
// with it.
func tree(files []fileCover) *node {
	root := &node{index: -1}
	type key struct {
		in   *node
		name string
	}
	known := map[key]*node{}
	for i, f := range files {
		parts := strings.SplitN(f.name, "/", maxDepth)
		at := root
		for j, part := range parts {
			at.covered += f.covered
			at.total += f.total
			next := known[key{at, part}]
			if last := j == len(parts)-1; last || next == nil {
				next = &node{name: part, index: -1}
				at.children = append(at.children, next)
				if !last {
					known[key{at, part}] = next
				}
			}
			at = next
		}
		at.covered, at.total, at.index = f.covered, f.total, i
	}
	join(root)
	return root
}

func join(n *node) {
	for len(n.children) == 1 && n.children[0].index < 0 {
		n.name, n.children = strings.TrimPrefix(n.name+"/"+n.children[0].name, "/"), n.children[0].children
	}
	for _, c := range n.children {
		join(c)
	}
	slices.SortStableFunc(n.children, func(a, b *node) int { return int(min(max(b.total-a.total, -1), 1)) })
}

type rect struct{ x, y, w, h float64 }

// drawing writes a map in which the area of a file is its statements, and its colour
// how much of them was covered.
type drawing struct {
	out   strings.Builder
	rects int
	// link is where a file is shown; "" is nowhere.
	link func(index int) string
}

func draw(root *node, link func(int) string) string {
	d := &drawing{link: link}
	fmt.Fprintf(&d.out, `<svg class="map" viewBox="0 0 %d %d" aria-hidden="true">`, mapWidth, mapHeight)
	d.node(root, rect{0, 0, mapWidth, mapHeight})
	d.out.WriteString("</svg>")
	return d.out.String()
}

func (d *drawing) node(n *node, r rect) {
	if d.rects >= maxRects || n.total == 0 || r.w <= 0 || r.h <= 0 {
		return
	}
	d.rects++
	title := fmt.Sprintf("%s: %.1f %% of %d statements", n.name, percent(n.covered, n.total), n.total)
	href := ""
	if n.index >= 0 {
		href = d.link(n.index)
	}
	if href != "" {
		d.out.WriteString(`<a href="` + html.EscapeString(href) + `" target="_blank" rel="noopener" tabindex="-1">`)
	}
	fmt.Fprintf(&d.out, `<rect class="c%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`, int(percent(n.covered, n.total)/10), r.x, r.y, r.w, r.h, html.EscapeString(title))
	if letters := int((r.w - 6) / 6.4); letters >= 4 && r.h >= header {
		fmt.Fprintf(&d.out, `<text x="%.1f" y="%.1f">%s</text>`, r.x+3, r.y+11, html.EscapeString(shorten(n.name, letters)))
	}
	if href != "" {
		d.out.WriteString(`</a>`)
	}
	inner := rect{r.x + 2, r.y + header, r.w - 4, r.h - header - 2}
	if len(n.children) == 0 || inner.w < smallest || inner.h < smallest {
		return
	}
	sizes := make([]float64, len(n.children))
	for i, c := range n.children {
		sizes[i] = float64(c.total)
	}
	for i, r := range squarify(sizes, inner) {
		d.node(n.children[i], r)
	}
}

// shorten keeps the end of a path, which tells more than its beginning.
func shorten(name string, letters int) string {
	runes := []rune(name)
	if len(runes) <= letters {
		return name
	}
	return "…" + string(runes[len(runes)-letters+1:])
}

// squarify splits a rectangle by sizes, which are in descending order, into ones that
// are as square as can be had: it fills rows along the shorter side, and begins a new
// one where another rectangle would make the row worse.
func squarify(sizes []float64, in rect) []rect {
	sum := 0.0
	for _, s := range sizes {
		sum += s
	}
	out := make([]rect, 0, len(sizes))
	if sum <= 0 {
		return make([]rect, len(sizes))
	}
	scale := in.w * in.h / sum
	for i := 0; i < len(sizes); {
		side := min(in.w, in.h)
		j, row := i+1, sizes[i]*scale
		for j < len(sizes) && worst(sizes[i]*scale, sizes[j]*scale, row+sizes[j]*scale, side) <= worst(sizes[i]*scale, sizes[j-1]*scale, row, side) {
			row += sizes[j] * scale
			j++
		}
		depth := 0.0
		if side > 0 {
			depth = row / side
		}
		at := 0.0
		for ; i < j; i++ {
			length := 0.0
			if depth > 0 {
				length = sizes[i] * scale / depth
			}
			if in.w >= in.h {
				out = append(out, rect{in.x, in.y + at, depth, length})
			} else {
				out = append(out, rect{in.x + at, in.y, length, depth})
			}
			at += length
		}
		if in.w >= in.h {
			in.x, in.w = in.x+depth, in.w-depth
		} else {
			in.y, in.h = in.y+depth, in.h-depth
		}
	}
	return out
}

// worst is how far from a square the worst rectangle of a row is, whose largest and
// smallest areas and sum are given.
func worst(largest, smallest, sum, side float64) float64 {
	if smallest <= 0 || sum <= 0 || side <= 0 {
		return math.Inf(1)
	}
	return max(side*side*largest/(sum*sum), sum*sum/(side*side*smallest))
}
