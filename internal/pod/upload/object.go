package upload

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"prow/internal/storage"
)

// object is something to store.
type object struct {
	key string
	// unlisted objects are not in the manifest.
	unlisted bool
	// open yields the content, anew for each attempt. Its errors are final.
	open func() (io.ReadCloser, error)
	opts storage.PutOptions
	// compress packs the content, if that is worth it.
	compress bool
}

func content(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// keyName makes a part of an object's name of a file's name. What providers,
// URLs or terminals do not stand is escaped.
func keyName(name string) string {
	var b strings.Builder
	for i, r := range name {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(name[i:])
		}
		if r == '#' || unicode.IsControl(r) || (r == utf8.RuneError && size == 1) {
			for _, c := range []byte(name[i : i+size]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// named says how a file is stored by its name: a packed one as its content in
// that encoding, if its type can be told.
func named(key string, mediaTypes map[string]string) (string, storage.PutOptions) {
	dir, name := path.Split(key)
	extension := path.Ext(name)
	if !isGzip(extension) {
		if name == "gz" || name == "gzip" {
			return key, storage.PutOptions{ContentType: "application/gzip"}
		}
		return key, storage.PutOptions{ContentType: mediaType(extension, mediaTypes)}
	}
	stem := strings.TrimSuffix(name, extension)
	if stem == "" {
		return key, storage.PutOptions{ContentType: "application/gzip"}
	}
	if inner := mediaType(path.Ext(stem), mediaTypes); inner != "" {
		return dir + stem, storage.PutOptions{ContentType: inner, ContentEncoding: "gzip"}
	}
	return dir + stem, storage.PutOptions{ContentType: "application/gzip"}
}

func isGzip(extension string) bool { return extension == ".gz" || extension == ".gzip" }

func mediaType(extension string, mediaTypes map[string]string) string {
	if extension == "" {
		return ""
	}
	if configured := mediaTypes[extension[1:]]; configured != "" {
		return configured
	}
	return mime.TypeByExtension(extension)
}

// shouldCompress tells whether objects with this name are to be packed.
func shouldCompress(key string, types []string) bool {
	extension := path.Ext(key)
	if isGzip(extension) {
		return false
	}
	return slices.Contains(types, "*") || (extension != "" && slices.Contains(types, extension[1:]))
}

// compressMin is the size up to which packing is not worth it, in bytes.
const compressMin = 1024

// compressed packs the content of an object, unless it is small or packed
// already; then it changes nothing. The result has to be closed.
func compressed(src io.Reader, key string, opts *storage.PutOptions) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(src, 64<<10)
	head, err := buffered.Peek(compressMin + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) <= compressMin || bytes.HasPrefix(head, []byte("\x1f\x8b")) {
		return io.NopCloser(buffered), nil
	}
	opts.ContentEncoding = "gzip"
	if opts.ContentType == "" {
		opts.ContentType = mediaType(path.Ext(key), nil)
	}
	if opts.ContentType == "" {
		opts.ContentType = "text/plain; charset=utf-8"
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		packed := gzip.NewWriter(w)
		_, err := io.Copy(packed, buffered)
		if err == nil {
			err = packed.Close()
		}
		_ = w.CloseWithError(err)
	}()
	return closer{r, func() error { err := r.Close(); <-done; return err }}, nil
}

type closer struct {
	io.Reader
	close func() error
}

func (c closer) Close() error { return c.close() }
