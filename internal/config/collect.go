package config

import (
	"encoding/json"
	"maps"
	"slices"

	"prow/internal/config/yamldec"
)

// Collector gathers problems of files, for other configurations that report
// their mistakes the way this one does.
type Collector struct {
	ps      problems
	sources map[string][]byte
}

// Source tells the content of a file, so that fields of it can be placed.
func (c *Collector) Source(file string, data []byte) {
	if c.sources == nil {
		c.sources = map[string][]byte{}
	}
	c.sources[file] = data
}

// Add records problems.
func (c *Collector) Add(list ...Problem) { c.ps.add(list...) }

// Decoded records what the decoder found in a file; false if that is harmful.
func (c *Collector) Decoded(file string, list []yamldec.Problem) bool {
	errs, _ := fromDecoder(file, list)
	c.ps.add(errs...)
	return len(errs) == 0
}

// InFile returns a function that records broken rules of a file.
func (c *Collector) InFile(file string) func(field, format string, args ...any) {
	return c.ps.inFile(file)
}

// Empty tells whether nothing was recorded.
func (c *Collector) Empty() bool { return len(c.ps.list) == 0 }

// Err returns everything as Errors, ordered by place; nil if there is nothing.
func (c *Collector) Err() error {
	if c.Empty() {
		return nil
	}
	return c.ps.sorted(func(file string) []byte { return c.sources[file] })
}

// ReadFile reads a configuration file, decompressing it if it is gzip.
func ReadFile(path string) ([]byte, error) {
	file, err := readFile(path)
	if err != nil {
		return nil, pathError(err)
	}
	return file.data, nil
}

// FilesWithSuffix lists the files below a directory whose path ends with a
// suffix, in lexical order, without those of mounted volumes' own bookkeeping.
func FilesWithSuffix(dir, suffix string) ([]string, error) { return shardPaths(dir, suffix) }

// FieldsSet returns the top-level fields, with their values, in which a value
// differs from an empty one.
func FieldsSet(value, empty any) []string {
	have, err := fieldsOf(value)
	if err != nil {
		return []string{err.Error()}
	}
	none, err := fieldsOf(empty)
	if err != nil {
		return []string{err.Error()}
	}
	maps.DeleteFunc(have, func(key string, value json.RawMessage) bool { return string(none[key]) == string(value) })
	out := slices.Sorted(maps.Keys(have))
	for i, key := range out {
		text := string(have[key])
		if len(text) > 80 {
			text = text[:77] + "..."
		}
		out[i] = key + ": " + text
	}
	return out
}

func fieldsOf(v any) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	return out, json.Unmarshal(raw, &out)
}
