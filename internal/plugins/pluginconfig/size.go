package pluginconfig

// Size holds the numbers of changed lines from which a size label applies.
// They must not shrink, and one that is not set counts as 0 there.
type Size struct {
	// S is from where a change is small. Default: 10.
	S int `json:"s,omitempty"`
	// M is from where a change is of medium size. Default: 30.
	M int `json:"m,omitempty"`
	// L is from where a change is large. Default: 100.
	L int `json:"l,omitempty"`
	// Xl is from where a change is very large. Default: 500.
	Xl int `json:"xl,omitempty"`
	// Xxl is from where a change is too large. Default: 1000.
	Xxl int `json:"xxl,omitempty"`
}

// WithDefaults fills what is not set.
func (s Size) WithDefaults() Size {
	for _, f := range []struct {
		field *int
		value int
	}{{&s.S, 10}, {&s.M, 30}, {&s.L, 100}, {&s.Xl, 500}, {&s.Xxl, 1000}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return s
}

func (s Size) check(r *rules) {
	if s.S > s.M || s.M > s.L || s.L > s.Xl || s.Xl > s.Xxl {
		r.report("size", "found s %d, m %d, l %d, xl %d, xxl %d, expected them to grow; set all or none", s.S, s.M, s.L, s.Xl, s.Xxl)
	}
}
