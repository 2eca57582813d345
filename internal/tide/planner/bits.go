package planner

import "math/bits"

// window is how many pull requests of a queue are thought about at once, and as
// many of those that were merged last.
const window = 128

// words is how many words of a set are for the queue, and as many for the merged.
const words = window / 64

// members is a set of pull requests: those of the queue first, then merged ones.
type members [2 * words]uint64

func (m members) has(i int) bool { return m[i/64]&(1<<(i%64)) != 0 }

func (m members) with(i int) members {
	m[i/64] |= 1 << (i % 64)
	return m
}

func (m members) union(o members) members {
	for w := range m {
		m[w] |= o[w]
	}
	return m
}

func (m members) holds(o members) bool {
	for w := range m {
		if o[w]&^m[w] != 0 {
			return false
		}
	}
	return true
}

func (m members) without(o members) members {
	for w := range m {
		m[w] &^= o[w]
	}
	return m
}

// common is how many members two sets have in common.
func (m members) common(o members) int {
	n := 0
	for w := range m {
		n += bits.OnesCount64(m[w] & o[w])
	}
	return n
}

func (m members) size() int { return m.common(m) }

// waiting is how many of the set are not merged yet.
func (m members) waiting() int {
	n := 0
	for _, w := range m[:words] {
		n += bits.OnesCount64(w)
	}
	return n
}

// pending are the members that are not merged yet.
func (m members) pending() members {
	for w := words; w < len(m); w++ {
		m[w] = 0
	}
	return m
}

// each calls f with every member, in order.
func (m members) each(f func(i int)) {
	for w := range m {
		for rest := m[w]; rest != 0; rest &= rest - 1 {
			f(w*64 + bits.TrailingZeros64(rest))
		}
	}
}
