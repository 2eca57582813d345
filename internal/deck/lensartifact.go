package deck

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"

	"prow/api/artifacts"
	"prow/internal/deck/lens"
	"prow/internal/pod"
	"prow/internal/storage"
)

// object is an artifact in storage.
type object struct {
	name, link string
	open       func(ctx context.Context) (storage.Bucket, error)
	key        string
	// limit bounds one reading, in bytes.
	limit int64
	// address is where its storage serves it to others; nil where it does not.
	address func(ctx context.Context, b storage.Bucket) string
	// may tells who wants to change something, or lens.ErrNotAllowed.
	may func(ctx context.Context) error
	// log and url are what was found when the run was looked at.
	log *storage.Log
	url string
}

func (o *object) Name() string { return o.name }
func (o *object) Link() string { return o.link }

// find looks for the object.
func (o *object) find(ctx context.Context) error {
	return o.with(ctx, func(b storage.Bucket) error {
		found, err := storage.StatLog(ctx, b, o.key)
		o.log = found
		if err == nil && o.address != nil {
			o.url = o.address(ctx, b)
		}
		return err
	})
}

func (o *object) with(ctx context.Context, do func(storage.Bucket) error) error {
	bucket, err := o.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(bucket), bucket.Close())
}

func (o *object) compressed() bool { return o.log.ContentEncoding == "gzip" }

// Stat describes the object as it was when the request began: what a lens reads then
// fits together.
func (o *object) Stat(context.Context) (lens.Info, error) {
	return lens.Info{Size: o.log.Size, Compressed: o.compressed(), Live: o.log.Growing, Metadata: o.log.Metadata, URL: o.url}, nil
}

// Range reads a part of the object.
func (o *object) Range(ctx context.Context, offset, length int64) (out []byte, err error) {
	if err := checkRange(o.name, offset, length); err != nil {
		return nil, err
	}
	err = o.with(ctx, func(b storage.Bucket) error {
		// It is found anew, for what was found before reads through a bucket that is closed.
		log, err := storage.StatLog(ctx, b, o.key)
		if err != nil {
			return err
		}
		if o.compressed() {
			out, err = o.inflate(ctx, log, offset, length)
			return err
		}
		if offset > o.log.Size {
			return fmt.Errorf("%s has %d bytes: %w", o.name, o.log.Size, lens.ErrRange)
		}
		if length > o.limit && (length != lens.AllText || o.log.Size-offset > o.limit) {
			return fmt.Errorf("%s: %w", o.name, lens.ErrTooLarge)
		}
		out, err = readPart(ctx, log, offset, min(length, o.log.Size-offset))
		return err
	})
	return out, err
}

func checkRange(name string, offset, length int64) error {
	if offset < 0 || length < 0 {
		return fmt.Errorf("%s: %d bytes from %d on: %w", name, length, offset, lens.ErrRange)
	}
	return nil
}

func readPart(ctx context.Context, log *storage.Log, offset, want int64) ([]byte, error) {
	if want == 0 {
		return nil, nil
	}
	r, err := log.Reader(ctx, offset)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	out := make([]byte, want)
	n, err := io.ReadFull(r, out)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // it has become shorter
	}
	return out[:n], err
}

func (o *object) inflate(ctx context.Context, log *storage.Log, offset, length int64) ([]byte, error) {
	switch {
	case offset != 0:
		return nil, fmt.Errorf("%s: %w", o.name, lens.ErrOffset)
	case o.log.Size > o.limit, length > o.limit && length != lens.AllText:
		return nil, fmt.Errorf("%s: %w", o.name, lens.ErrTooLarge)
	case length == 0:
		return nil, nil
	}
	raw, err := log.Reader(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer raw.Close() //nolint:errcheck // only read
	text, err := gzip.NewReader(raw)
	if err != nil {
		return nil, fmt.Errorf("%s is not compressed as it says: %w", o.name, err)
	}
	out, err := io.ReadAll(io.LimitReader(text, min(length, o.limit+1)))
	if err != nil {
		return nil, fmt.Errorf("%s is not compressed as it says: %w", o.name, err)
	}
	if int64(len(out)) > o.limit {
		return nil, fmt.Errorf("the text of %s: %w", o.name, lens.ErrTooLarge)
	}
	return out, nil
}

const (
	// maxMetadataChange is how many keys may be set at once, maxMetadataText how long one
	// and its value may be together, in bytes.
	maxMetadataChange = 16
	maxMetadataText   = 1024
)

// SetMetadata changes the metadata of the object for everybody who looks at it.
func (o *object) SetMetadata(ctx context.Context, set map[string]string) error {
	if o.log.Growing {
		return fmt.Errorf("%s is not complete yet: %w", o.name, lens.ErrUnsupported)
	}
	if len(set) > maxMetadataChange {
		return fmt.Errorf("%d changes of metadata at once: %w", len(set), lens.ErrTooLarge)
	}
	for name, value := range set {
		if len(name)+len(value) > maxMetadataText {
			return fmt.Errorf("the metadata %.40q: %w", name, lens.ErrTooLarge)
		}
	}
	if err := o.may(ctx); err != nil {
		return err
	}
	err := o.with(ctx, func(b storage.Bucket) error { return storage.SetMetadata(ctx, b, o.key, set) })
	if errors.Is(err, storage.ErrNoMetadata) {
		return fmt.Errorf("%s: %w", o.name, lens.ErrUnsupported)
	}
	if err == nil {
		o.log.Metadata = storage.Merge(o.log.Metadata, set)
	}
	return err
}

// logName is how the log of a container is called in storage.
var logName = regexp.MustCompile(`^(?:([^/]*)-)?build-log\.txt$`)

// podLog is the log of a container that is not stored yet. Each reading begins at its
// beginning, and keeps only what is asked for.
type podLog struct {
	name, link string
	limit      int64
	stream     func(ctx context.Context) (io.ReadCloser, error)
	// size is that when it was first asked for; -1 before.
	size int64
}

// podLogOf is the log of the container that an artifact is named after; nil if there is
// none.
func (s *server) podLogOf(r run, name string, limit int64) *podLog {
	match := logName.FindStringSubmatch(name)
	if match == nil || r.pj == nil || r.pj.Status.PodName == "" {
		return nil
	}
	container := match[1]
	if container == "" {
		container = pod.TestContainerName
	}
	if c := r.pj.Spec.PodSpec; c != nil && name != artifacts.BuildLogFile {
		known := false
		for i := range c.Containers {
			known = known || c.Containers[i].Name == container
		}
		if !known {
			return nil
		}
	}
	link := "log?" + url.Values{"container": {container}, "id": {r.build}, "job": {r.job}}.Encode()
	return &podLog{name: name, link: link, limit: limit, size: -1, stream: func(ctx context.Context) (io.ReadCloser, error) {
		return s.pods.stream(ctx, containerOf(r.pj, container), false)
	}}
}

func (p *podLog) Name() string { return p.name }
func (p *podLog) Link() string { return p.link }

// Stat reads the log through to learn its size, but not beyond what may be read.
func (p *podLog) Stat(ctx context.Context) (lens.Info, error) {
	if p.size < 0 {
		r, err := p.stream(ctx)
		if err != nil {
			return lens.Info{}, err
		}
		defer r.Close() //nolint:errcheck // only read
		n, err := io.Copy(io.Discard, io.LimitReader(r, p.limit+1))
		if err != nil {
			return lens.Info{}, fmt.Errorf("reading %s: %w", p.name, err)
		}
		p.size = n
	}
	return lens.Info{Size: p.size, Live: true}, nil
}

// Range reads a part of the log.
func (p *podLog) Range(ctx context.Context, offset, length int64) ([]byte, error) {
	if err := checkRange(p.name, offset, length); err != nil {
		return nil, err
	}
	if length > p.limit && length != lens.AllText {
		return nil, fmt.Errorf("%d bytes of %s: %w", length, p.name, lens.ErrTooLarge)
	}
	r, err := p.stream(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	if skipped, err := io.CopyN(io.Discard, r, offset); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s has %d bytes: %w", p.name, skipped, lens.ErrRange)
	} else if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p.name, err)
	}
	out, err := io.ReadAll(io.LimitReader(r, min(length, p.limit+1)))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p.name, err)
	}
	if int64(len(out)) > p.limit {
		return nil, fmt.Errorf("%s: %w", p.name, lens.ErrTooLarge)
	}
	return out, nil
}

// SetMetadata is for what is stored.
func (p *podLog) SetMetadata(context.Context, map[string]string) error {
	return fmt.Errorf("%s is not stored yet: %w", p.name, lens.ErrUnsupported)
}
