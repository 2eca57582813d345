package lenstest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Unsafe lists what in a body would run, load or send something: elements of scripts
// and styles, handlers and styles in attributes, addresses that are none of the web,
// forms, and frames that are not shut in.
func Unsafe(body string) []string {
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if slices.Contains([]string{"script", "style", "link", "base", "meta", "object", "embed", "form", "img", "video", "audio", "math", "foreignobject", "use", "image"}, strings.ToLower(n.Data)) {
			out = append(out, "there is the element "+n.Data)
		}
		if n.Data == "iframe" && attribute(n, "sandbox") != "allow-scripts allow-popups" {
			out = append(out, "there is an iframe with the sandbox "+attribute(n, "sandbox"))
		}
		for _, a := range n.Attr {
			key := strings.ToLower(a.Key)
			switch {
			case strings.HasPrefix(key, "on"), key == "style", key == "formaction", key == "background", key == "ping":
				out = append(out, fmt.Sprintf("%s has %s=%q", n.Data, a.Key, a.Val))
			case key == "href" || key == "src" || key == "xlink:href" || key == "cite":
				u, err := url.Parse(a.Val)
				if err != nil || !slices.Contains([]string{"", "http", "https", "mailto"}, u.Scheme) {
					out = append(out, fmt.Sprintf("%s has %s=%q", n.Data, a.Key, a.Val))
				}
			}
		}
	}
	return out
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
