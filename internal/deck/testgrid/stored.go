package testgrid

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// The stored form. Names and results of a build are apart:
//
//	names:   version, deflate( number, for each test in order: how many bytes it has in
//	         common with the one before, how many follow, those )
//	results: version, number, files, broken, cut, length of what follows,
//	         deflate( outcomes ), deflate( milliseconds )
//
// Numbers are unsigned varints. A form that is not understood is an error, upon which the
// results are read again where they came from.
const storedVersion = 1

// ErrStored tells that a stored form cannot be understood.
var ErrStored = errors.New("the stored results cannot be understood")

func bad(what string) error { return fmt.Errorf("%w: %s", ErrStored, what) }

// PackTests is the stored form of the names of a summary. Equal names have equal forms.
func (s *Summary) PackTests() ([]byte, error) {
	raw := binary.AppendUvarint(nil, uint64(len(s.Tests)))
	before := ""
	for _, t := range s.Tests {
		key := t.key()
		n := 0
		for n < min(len(key), len(before)) && key[n] == before[n] {
			n++
		}
		raw = binary.AppendUvarint(raw, uint64(n))
		raw = binary.AppendUvarint(raw, uint64(len(key)-n))
		raw = append(raw, key[n:]...)
		before = key
	}
	return pack([]byte{storedVersion}, raw)
}

// PackResults is the stored form of the rest of a summary.
func (s *Summary) PackResults() ([]byte, error) {
	head := binary.AppendUvarint([]byte{storedVersion}, uint64(len(s.Tests)))
	head = binary.AppendUvarint(head, uint64(s.Files))
	head = binary.AppendUvarint(head, uint64(s.Broken))
	cut := byte(0)
	if s.Cut {
		cut = 1
	}
	raw := make([]byte, 0, 4*len(s.Tests))
	for _, o := range s.Outcomes {
		raw = append(raw, byte(o))
	}
	outcomes, err := pack(nil, raw)
	if err != nil {
		return nil, err
	}
	head = append(binary.AppendUvarint(append(head, cut), uint64(len(outcomes))), outcomes...)
	raw = raw[:0]
	for _, took := range s.Took {
		raw = binary.AppendUvarint(raw, uint64(took.Milliseconds()))
	}
	return pack(head, raw)
}

func pack(head, raw []byte) ([]byte, error) {
	out := bytes.NewBuffer(head)
	w, err := flate.NewWriter(out, flate.DefaultCompression)
	if err == nil {
		_, err = w.Write(raw)
	}
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

// unpack inflates at most most bytes.
func unpack(packed []byte, most int) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(packed))
	raw, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStored, err)
	}
	if len(raw) > most {
		return nil, bad("they are too long")
	}
	return raw, nil
}

// maxStoredNames is the length of names with the numbers between them.
const maxStoredNames = MaxNames + 10*MaxTests

// eachTest calls do for the keys of stored names, in order. A key is valid during the
// call only.
func eachTest(packed []byte, do func(key []byte) error) error {
	if len(packed) < 1 || packed[0] != storedVersion {
		return bad("names of an unknown version")
	}
	raw, err := unpack(packed[1:], maxStoredNames)
	if err != nil {
		return err
	}
	take := func() uint64 {
		n, size := binary.Uvarint(raw)
		if size <= 0 {
			raw = nil
			return 1 << 63
		}
		raw = raw[size:]
		return n
	}
	number := take()
	if number > MaxTests {
		return bad("the number of names")
	}
	var key, before []byte
	size := 0
	for range number {
		common, rest := take(), take()
		if common > uint64(len(key)) || rest > uint64(len(raw)) {
			return bad("a name is longer than what there is")
		}
		before = append(before[:0], key...)
		key = append(key[:common], raw[:rest]...)
		raw = raw[rest:]
		if size += len(key); size > MaxNames {
			return bad("the names are too long")
		}
		if bytes.Count(key, []byte{0}) != 2 {
			return bad("a name has not three parts")
		}
		if len(before) > 0 && bytes.Compare(before, key) >= 0 {
			return bad("the names are not in order")
		}
		if err := do(key); err != nil {
			return err
		}
	}
	if len(raw) > 0 {
		return bad("something follows the names")
	}
	return nil
}

// results are a stored form that was read. What tests took is left packed: most columns
// of a grid do without.
type results struct {
	Note
	outcomes []byte
	took     []byte
}

func readResults(packed []byte) (out results, err error) {
	if len(packed) < 1 || packed[0] != storedVersion {
		return out, bad("results of an unknown version")
	}
	packed = packed[1:]
	var head [5]uint64
	for i := range head {
		n, size := binary.Uvarint(packed)
		if size <= 0 || n > MaxTests && i == 0 || n > 1<<30 {
			return out, bad("the beginning")
		}
		head[i], packed = n, packed[size:]
	}
	number := int(head[0])
	out.Note = Note{int(head[1]), int(head[2]), head[3] == 1}
	if head[4] > uint64(len(packed)) {
		return out, bad("there are fewer outcomes than it says")
	}
	out.took = packed[head[4]:]
	if out.outcomes, err = unpack(packed[:head[4]], number); err != nil {
		return out, err
	}
	if len(out.outcomes) != number {
		return out, bad("there are not as many outcomes as tests")
	}
	if slices.ContainsFunc(out.outcomes, func(o byte) bool { return o == byte(Absent) || o > byte(Skipped) }) {
		return out, bad("an outcome that is unknown")
	}
	return out, nil
}

// eachTook calls do for the durations, in order of the tests.
func (r *results) eachTook(do func(i int, took time.Duration)) error {
	raw, err := unpack(r.took, 10*len(r.outcomes))
	if err != nil {
		return err
	}
	for i := range r.outcomes {
		ms, size := binary.Uvarint(raw)
		if size <= 0 {
			return bad("there are not as many durations as tests")
		}
		raw = raw[size:]
		do(i, time.Duration(min(ms, uint64(maxTook/time.Millisecond)))*time.Millisecond)
	}
	if len(raw) > 0 {
		return bad("something follows the durations")
	}
	return nil
}

// Unpack reads a stored form.
func Unpack(tests, packed []byte) (*Summary, error) {
	r, err := readResults(packed)
	if err != nil {
		return nil, err
	}
	out := &Summary{Note: r.Note}
	if err := eachTest(tests, func(key []byte) error {
		out.Tests = append(out.Tests, testOf(string(key)))
		return nil
	}); err != nil {
		return nil, err
	}
	if len(out.Tests) != len(r.outcomes) {
		return nil, bad("names and results are not of the same tests")
	}
	for _, o := range r.outcomes {
		out.Outcomes = append(out.Outcomes, Outcome(o))
	}
	return out, r.eachTook(func(_ int, took time.Duration) { out.Took = append(out.Took, took) })
}
