// Package lens is the contract between Spyglass, which finds out what a run left
// behind, and the lenses, which show it. A lens is a package below this one:
// a pure reading of files, a template, and what the browser needs.
//
// What a lens returns is shown in a frame whose origin is its own: nothing in it
// reaches the site, the visitor's cookies or another lens. Whatever a job wrote
// is hostile all the same, and is escaped by html/template.
package lens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"time"
)

// Lens shows artifacts. It is used by many requests at a time.
type Lens interface {
	// About describes the lens; it is always the same.
	About() About
	// Body is what the frame shows. With Request.Data, which a lens asked for by
	// updatePage or requestPage in the browser, it is what it shows from then on.
	// Artifacts that are missing or broken are told in the body; an error is for
	// what the operator must know, and is shown without its text.
	Body(ctx context.Context, r *Request) (template.HTML, error)
}

// Caller is a lens whose part in the browser asks it things.
type Caller interface {
	// Callback answers Request.Data. A mistake of the asker is a text of the answer.
	Callback(ctx context.Context, r *Request) (string, error)
}

// About describes a lens.
type About struct {
	// Name is that of the configuration and of addresses.
	Name string
	// Title stands above the frame unless it is hidden.
	Title     string
	HideTitle bool
	// Priority orders the lenses of a page; lower ones come first.
	Priority uint
	// Files hold what the frame loads. Those that end in .css and .js right in
	// their root are loaded in the order of their names; nil loads none.
	Files fs.FS
	// Scripts tells that the frame shows content which has scripts and styles of
	// its own. It has no network then.
	Scripts bool
}

// Request is what a lens is asked to show.
type Request struct {
	// Artifacts are those that the configuration of the lens chose and that are
	// there, by name; logs of containers that have not been stored come last.
	Artifacts []Artifact
	// Config is the lens's own part of the configuration; nil if there is none.
	Config json.RawMessage
	// Data is what the part in the browser sent; empty at first.
	Data string
	// BrowserPrefix is the URL under which people read buckets, with which
	// "bucket/path" makes a URL; empty if there is none.
	BrowserPrefix string
	// Now is when the request was made.
	Now time.Time
}

// Artifact is a file of the run, or the log of a container whose file is not there
// yet. It is reached by this handle only, which never leads out of the run.
type Artifact interface {
	// Name is relative to the directory of the run.
	Name() string
	// Link is where people get the whole content, relative to the root of the site.
	Link() string
	// Stat describes the content.
	Stat(ctx context.Context) (Info, error)
	// Range reads length bytes from offset on. Less is returned only where the
	// content ends before, which is no error; an offset beyond the end is ErrRange.
	// Of compressed content only a range from 0 can be read, which is of the text:
	// others are ErrOffset. A length above the limit of the site is ErrTooLarge.
	Range(ctx context.Context, offset, length int64) ([]byte, error)
	// SetMetadata adds to Info.Metadata, an empty value takes a key away. It is
	// refused with ErrNotAllowed where the visitor may not, and with ErrUnsupported
	// where the content cannot have any.
	SetMetadata(ctx context.Context, set map[string]string) error
}

// Info describes the content of an artifact.
type Info struct {
	// Size is that of what is stored, in bytes.
	Size int64
	// Compressed tells that what is stored is compressed by gzip.
	Compressed bool
	// Live tells that the content grows: it is the log of a container that runs.
	Live     bool
	Metadata map[string]string
	// URL is where the storage itself serves the content to others, for a while at
	// least; empty where it does not.
	URL string
}

// Errors of artifacts.
var (
	ErrTooLarge    = errors.New("it is larger than this site reads (deck.spyglass.size_limit)")
	ErrRange       = errors.New("there is nothing so far in")
	ErrOffset      = errors.New("a compressed file can only be read from its beginning")
	ErrNotAllowed  = errors.New("you may not do that")
	ErrUnsupported = errors.New("its storage cannot do that")
)

// AllText is the length that reads compressed content to its end. What is longer
// than the limit of the site then is ErrTooLarge.
const AllText = 1 << 62

// ReadAll reads all of an artifact, whose size is at most limit bytes; without a
// limit, 0, that of the site counts.
func ReadAll(ctx context.Context, a Artifact, limit int64) ([]byte, error) {
	info, err := a.Stat(ctx)
	if err != nil {
		return nil, err
	}
	if limit > 0 && info.Size > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d: %w", a.Name(), info.Size, limit, ErrTooLarge)
	}
	length := info.Size
	if info.Compressed { // its text is longer
		length = AllText
		if limit > 0 {
			length = limit + 1 // one byte more tells that it is too long
		}
	}
	body, err := a.Range(ctx, 0, length)
	if err == nil && limit > 0 && int64(len(body)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes: %w", a.Name(), limit, ErrTooLarge)
	}
	return body, err
}
