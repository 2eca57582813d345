package censor

import (
	"bytes"
	"slices"
)

// Masker finds and masks patterns. It is made once and may be used concurrently.
//
// It is an Aho-Corasick automaton with a full transition table over the keys of
// the patterns, which are their first bytes; longer patterns are compared in
// place. So its size depends on the number of secrets, hardly on their length.
type Masker struct {
	// class maps a byte to its column; bytes in no key share column 0.
	class [256]uint8
	// next maps row+column to the row of the next state. Rows from accepting on
	// are states in which a key ends.
	next      []uint32
	accepting uint32
	columns   uint32
	// ends lists, for each accepting row, the keys that end there.
	ends map[uint32][]int
	keys []key
	// longest is the length of the longest pattern; 0 if there are none.
	longest int
}

// keyLength bounds the part of a pattern that is in the automaton, in bytes.
const keyLength = 16

// key is the beginning of one or more patterns.
type key struct {
	length int
	// patterns begin with the key, the longest first.
	patterns [][]byte
}

// NewMasker returns a masker of these patterns; empty ones have no effect.
func NewMasker(patterns [][]byte) *Masker {
	m := &Masker{ends: map[uint32][]int{}}
	byKey := map[string]int{}
	for _, pattern := range patterns {
		if len(pattern) == 0 {
			continue
		}
		prefix := pattern[:min(len(pattern), keyLength)]
		i, ok := byKey[string(prefix)]
		if !ok {
			i = len(m.keys)
			byKey[string(prefix)] = i
			m.keys = append(m.keys, key{length: len(prefix)})
		}
		m.keys[i].patterns = append(m.keys[i].patterns, pattern)
		m.longest = max(m.longest, len(pattern))
	}
	for i := range m.keys {
		slices.SortFunc(m.keys[i].patterns, func(a, b []byte) int { return len(b) - len(a) })
	}
	m.build()
	return m
}

// state is a node of the trie while the automaton is built.
type state struct {
	children map[uint8]int
	fail     int
	ends     []int
}

func (m *Masker) build() {
	classes := 1
	trie := []state{{children: map[uint8]int{}}}
	for i, k := range m.keys {
		at := 0
		for _, b := range k.patterns[0][:k.length] {
			if m.class[b] == 0 && classes < 256 {
				// With all 256 values in use the last one shares column 0 with nothing else.
				m.class[b] = uint8(classes)
				classes++
			}
			child, ok := trie[at].children[b]
			if !ok {
				child = len(trie)
				trie = append(trie, state{children: map[uint8]int{}})
				trie[at].children[b] = child
			}
			at = child
		}
		trie[at].ends = append(trie[at].ends, i)
	}

	// Breadth first, so that the state to fail to is complete before it is needed.
	order := []int{0}
	for i := 0; i < len(order); i++ {
		at := order[i]
		for b, child := range trie[at].children {
			if at != 0 {
				fail := trie[at].fail
				for fail != 0 && !has(trie[fail].children, b) {
					fail = trie[fail].fail
				}
				trie[child].fail = trie[fail].children[b] // 0, the root, if absent
			}
			order = append(order, child)
		}
		trie[at].ends = append(trie[at].ends, trie[trie[at].fail].ends...)
	}

	m.columns = uint32(classes)
	m.number(trie, order)
}

// number lays the states out in rows, the accepting ones last, and fills the table.
func (m *Masker) number(trie []state, order []int) {
	rows := make([]uint32, len(trie))
	row := uint32(0)
	for _, accepting := range []bool{false, true} {
		if accepting {
			m.accepting = row
		}
		for _, at := range order {
			if (len(trie[at].ends) > 0) == accepting {
				rows[at] = row
				row += m.columns
			}
		}
	}
	m.next = make([]uint32, row)
	for _, at := range order {
		to := m.next[rows[at] : rows[at]+m.columns]
		if at != 0 {
			copy(to, m.next[rows[trie[at].fail]:][:m.columns])
		}
		for b, child := range trie[at].children {
			to[m.class[b]] = rows[child]
		}
		if len(trie[at].ends) > 0 {
			m.ends[rows[at]] = trie[at].ends
		}
	}
}

func has(children map[uint8]int, b uint8) bool {
	_, ok := children[b]
	return ok
}

// Empty tells whether there is nothing to mask.
func (m *Masker) Empty() bool { return m.longest == 0 }

// span is a range of bytes.
type span struct{ from, to int }

// find appends the occurrences that lie in buf as a whole.
func (m *Masker) find(buf []byte, spans []span) []span {
	if m.Empty() {
		return spans
	}
	at, next, class, accepting := uint32(0), m.next, &m.class, m.accepting
	for i, b := range buf {
		at = next[at+uint32(class[b])]
		if at < accepting {
			continue
		}
		for _, k := range m.ends[at] {
			from := i + 1 - m.keys[k].length
			for _, pattern := range m.keys[k].patterns {
				if bytes.HasPrefix(buf[from:], pattern) {
					spans = addSpan(spans, span{from, from + len(pattern)})
					break
				}
			}
		}
	}
	return spans
}

// addSpan joins neighbours, so that the list stays short where a short pattern is all over.
func addSpan(spans []span, s span) []span {
	if n := len(spans); n > 0 && spans[n-1].from <= s.from && s.from <= spans[n-1].to {
		spans[n-1].to = max(spans[n-1].to, s.to)
		return spans
	}
	return append(spans, s)
}

// Mask masks buf in place and tells whether there was anything to mask.
func (m *Masker) Mask(buf []byte) bool {
	spans := m.find(buf, nil)
	for _, s := range spans {
		fill(buf[s.from:s.to])
	}
	return len(spans) > 0
}

// MaskString returns s with its secrets masked.
func (m *Masker) MaskString(s string) string {
	buf := []byte(s)
	if !m.Mask(buf) {
		return s
	}
	return string(buf)
}

func fill(buf []byte) {
	for i := range buf {
		buf[i] = 'X'
	}
}
