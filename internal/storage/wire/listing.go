package wire

import (
	"fmt"
	"slices"
	"strings"

	"prow/internal/storage"
)

// MergeListing joins objects and directories of one page in the order of their
// keys. Objects that only stand for a directory, as some tools make them, are left
// out: no key ends with a slash.
func MergeListing(objects, dirs []storage.Item) []storage.Item {
	objects = slices.DeleteFunc(objects, func(i storage.Item) bool { return strings.HasSuffix(i.Key, "/") })
	items := append(objects, dirs...)
	slices.SortFunc(items, func(a, b storage.Item) int { return strings.Compare(a.Key, b.Key) })
	return items
}

// Range is the header for length bytes from offset, to the end if length is
// negative; it is empty for all of an object.
func Range(offset, length int64) string {
	switch {
	case length >= 0:
		return fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
	case offset > 0:
		return fmt.Sprintf("bytes=%d-", offset)
	}
	return ""
}
