package html

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
)

// maxWords is how long a title or a description may be, in bytes.
const maxWords = 300

// head is what a document says about itself.
type head struct {
	title, description string
	// scriptAt is where a script can stand without changing how the document is read.
	scriptAt int
}

// parseHead reads a document up to its body.
func parseHead(raw []byte) head {
	var out head
	z := html.NewTokenizer(bytes.NewReader(raw))
	z.SetMaxBuf(1 << 20)
	at, placed, inTitle := 0, false, false
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out
		}
		length := len(z.Raw())
		switch kind {
		case html.DoctypeToken:
			if !placed {
				out.scriptAt, placed = at+length, true
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			placed = true // without a doctype it comes first
			name, more := z.TagName()
			switch tag := string(name); {
			case tag == "title":
				inTitle = out.title == ""
			case tag == "meta" && more:
				attributes := map[string]string{}
				for more {
					var key, value []byte
					key, value, more = z.TagAttr()
					attributes[string(key)] = string(value)
				}
				if strings.EqualFold(attributes["name"], "description") && out.description == "" {
					out.description = words(attributes["content"])
				}
			case tag == "body" || tag == "svg":
				return out
			}
		case html.TextToken:
			if inTitle {
				out.title = words(string(z.Text()))
			}
			inTitle = false
		case html.EndTagToken:
			inTitle = false
		}
		at += length
	}
}

// words keeps a line of text.
func words(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if len(s) > maxWords {
		s = strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}

// meter tells the frame around a document how high it is. It tells nothing else, and
// the document may tell something else: nobody believes more than the height.
const meter = `<script>(() => {
const tell = () => parent.postMessage({ height: Math.ceil(Math.max(document.documentElement.getBoundingClientRect().height, document.body ? document.body.scrollHeight : 0)) }, '*');
addEventListener('load', tell);
addEventListener('resize', tell);
addEventListener('message', tell);
new MutationObserver(tell).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
})();</script>`

// document is the text of a frame.
func document(raw []byte, h head) string {
	text := string(raw[:h.scriptAt]) + meter + string(raw[h.scriptAt:])
	return strings.ToValidUTF8(text, "\uFFFD")
}
