package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Share is a part of a whole or a probability, written 10% or 0.1.
type Share float64

// UnmarshalText reads a share.
func (s *Share) UnmarshalText(text []byte) error {
	word, percent := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("%q is no share: expected a number from 0 to 1, or a percentage such as 10%%", text)
	}
	*s = Share(v)
	return nil
}

// MarshalText writes a share as a percentage.
func (s Share) MarshalText() ([]byte, error) {
	return []byte(strconv.FormatFloat(float64(s)*100, 'g', 6, 64) + "%"), nil
}

// Span is a length of time, written 1h30m.
type Span time.Duration

// UnmarshalText reads a span.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no duration: expected one such as 1h30m", text)
	}
	*s = Span(d)
	return nil
}

// MarshalText writes a span.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// Spread is a length of time that is drawn: always the same (1h), equally likely
// between two (uniform 30m 90m), or lognormal with a median and the standard
// deviation of its logarithm (lognormal 1h 0.4).
type Spread struct {
	kind string
	a, b time.Duration
	dev  float64
}

// Always is no spread at all.
func Always(d time.Duration) Spread { return Spread{a: d} }

// Uniform is between two.
func Uniform(a, b time.Duration) Spread { return Spread{kind: "uniform", a: a, b: b} }

// Lognormal has most below a few times the median, and a long tail.
func Lognormal(median time.Duration, dev float64) Spread {
	return Spread{kind: "lognormal", a: median, dev: dev}
}

// UnmarshalText reads a spread.
func (s *Spread) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("%q is no spread: expected 1h, uniform 30m 90m, or lognormal 1h 0.4", text)
	words := strings.Fields(string(text))
	var out Spread
	var durations []string
	switch {
	case len(words) == 1:
		durations = words
	case len(words) == 3 && words[0] == "uniform":
		out.kind, durations = words[0], words[1:]
	case len(words) == 3 && words[0] == "lognormal":
		out.kind, durations = words[0], words[1:2]
		dev, err := strconv.ParseFloat(words[2], 64)
		if err != nil || !(dev >= 0 && dev <= 5) {
			return bad
		}
		out.dev = dev
	default:
		return bad
	}
	for i, to := range []*time.Duration{&out.a, &out.b}[:len(durations)] {
		d, err := time.ParseDuration(durations[i])
		if err != nil || d < 0 {
			return bad
		}
		*to = d
	}
	if out.kind == "uniform" && out.b < out.a {
		return bad
	}
	*s = out
	return nil
}

// MarshalText writes a spread.
func (s Spread) MarshalText() ([]byte, error) {
	switch s.kind {
	case "uniform":
		return fmt.Appendf(nil, "uniform %s %s", s.a, s.b), nil
	case "lognormal":
		return fmt.Appendf(nil, "lognormal %s %g", s.a, s.dev), nil
	}
	return []byte(s.a.String()), nil
}

func (s Spread) zero() bool { return s == Spread{} }

func (s Spread) draw(r *rand.Rand) time.Duration {
	switch s.kind {
	case "uniform":
		return s.a + time.Duration(r.Float64()*float64(s.b-s.a))
	case "lognormal":
		return time.Duration(float64(s.a) * math.Exp(s.dev*r.NormFloat64()))
	}
	return s.a
}

// lots draws from streams that follow from the seed and a name.
type lots struct {
	seed uint64
	pcg  rand.PCG
	r    *rand.Rand
}

func newLots(seed uint64) *lots {
	l := &lots{seed: seed}
	l.r = rand.New(&l.pcg)
	return l
}

// What lots are about.
const (
	aboutArrivals uint64 = iota + 1
	aboutPull
	aboutHead
	aboutJob
	aboutForge
	aboutFaults
	aboutForeign
	aboutBlocks
	aboutPeople
	aboutOracle
)

// of is the stream of a name. It is good until the next call.
func (l *lots) of(about, a, b uint64) *rand.Rand {
	l.pcg.Seed(mix(l.seed^about<<56), mix(a)^mix(b+0x9e3779b97f4a7c15))
	return l.r
}

// apart is a stream of its own.
func (l *lots) apart(about uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(l.seed), about))
}

// mix spreads the bits of a number over all of them.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
