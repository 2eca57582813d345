package httpcache

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// Entry is a stored answer. It is shared by readers and must not be modified.
type Entry struct {
	Status int
	Header http.Header
	Body   []byte
}

// size is roughly what an entry takes in memory, in bytes.
func (e *Entry) size() int64 {
	n := len(e.Body) + 64
	for key, values := range e.Header {
		n += len(key) + 32
		for _, v := range values {
			n += len(v) + 16
		}
	}
	return int64(n)
}

// response is the entry as an answer to a request, with extra header fields.
func (e *Entry) response(req *http.Request, header http.Header) *http.Response {
	return &http.Response{
		Status: fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)), StatusCode: e.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: header, Body: io.NopCloser(bytes.NewReader(e.Body)), ContentLength: int64(len(e.Body)),
	}
}

// Marshal is the entry as an HTTP response.
func (e *Entry) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", e.Status, http.StatusText(e.Status))
	// Neither can fail on a buffer.
	_ = e.Header.WriteSubset(&b, map[string]bool{"Content-Length": true, "Transfer-Encoding": true})
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(e.Body))
	b.Write(e.Body)
	return b.Bytes()
}

// Unmarshal reads what Marshal wrote; a damaged entry is an error.
func Unmarshal(data []byte) (*Entry, error) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
	if err != nil {
		return nil, fmt.Errorf("read a stored response: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read a stored response: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read a stored response: its status is %d, and only successes are stored", resp.StatusCode)
	}
	resp.Header.Del("Content-Length")
	return &Entry{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// hopByHop are the fields that are about a connection, not about an answer.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// HopByHop tells whether a field is about the connection alone. The name must
// be in canonical form.
func HopByHop(name string) bool { return hopByHop[name] }

// ConnectionFields are the fields that the Connection field declares to be
// about the connection, in canonical form.
func ConnectionFields(h http.Header) []string {
	var out []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				out = append(out, http.CanonicalHeaderKey(name))
			}
		}
	}
	return out
}
