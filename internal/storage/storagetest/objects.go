package storagetest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// objects are what a server keeps.
type objects struct {
	mu   sync.Mutex
	kept map[string]stored
	// generation counts the objects ever made.
	generation int64
	// forget keeps sizes only, for tests with more data than memory.
	forget bool
}

type stored struct {
	content    []byte
	size       int64
	header     http.Header
	metadata   map[string]string
	modified   time.Time
	generation int64
}

// put keeps an object, unless it must be new and is not.
func (o *objects) put(key string, s stored, mustBeNew bool) (stored, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.kept[key]; ok && mustBeNew {
		return stored{}, false
	}
	if o.kept == nil {
		o.kept = map[string]stored{}
	}
	o.generation++
	s.generation, s.modified = o.generation, time.Now().UTC()
	if s.size == 0 {
		s.size = int64(len(s.content))
	}
	if o.forget {
		s.content = nil
	}
	o.kept[key] = s
	return s, true
}

func (o *objects) get(key string) (stored, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, ok := o.kept[key]
	return s, ok
}

// describe changes the metadata of an object; what is nil is taken away.
func (o *objects) describe(key string, change map[string]*string) (stored, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, ok := o.kept[key]
	if !ok {
		return stored{}, false
	}
	metadata := map[string]string{}
	maps.Copy(metadata, s.metadata)
	for name, value := range change {
		if value == nil {
			delete(metadata, name)
		} else {
			metadata[name] = *value
		}
	}
	s.metadata = metadata
	o.kept[key] = s
	return s, true
}

func (o *objects) delete(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.kept[key]
	delete(o.kept, key)
	return ok
}

// list returns the names of objects and directories after a name, in order.
func (o *objects) list(prefix, delimiter, after string, limit int) (keys, dirs []string, next string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := ""
	for _, key := range slices.Sorted(maps.Keys(o.kept)) {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		name, isDir := key, false
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			name, isDir = prefix+rest[:i+len(delimiter)], true
		}
		if name <= after || name == last {
			continue
		}
		if len(keys)+len(dirs) == limit {
			return keys, dirs, last
		}
		if last = name; isDir {
			dirs = append(dirs, name)
		} else {
			keys = append(keys, name)
		}
	}
	return keys, dirs, ""
}

// totals counts objects and bytes.
func (o *objects) totals() (count int, bytes int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.kept {
		bytes += s.size
	}
	return len(o.kept), bytes
}
