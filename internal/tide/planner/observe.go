package planner

// look is the verdict of a test with the number of its failures. What was stopped
// before it told anything is none.
func (t *Trial) look(runs []BatchRun) (v verdict, failures int) {
	var seen [passed + 1]bool
	for _, c := range t.Required {
		best, n := none, 0
		for _, r := range runs {
			if r.Context == c {
				best = max(best, r.State.verdict())
				if r.State.verdict() == failed {
					n++
				}
			}
		}
		seen[best] = true
		if best != passed || len(t.Required) == 1 {
			failures = max(failures, n)
		}
	}
	for _, v := range []verdict{failed, running, none} {
		if seen[v] {
			return v, failures
		}
	}
	return passed, failures
}

// observe sees trials as outcomes, and tells how often things go wrong. Results on
// equal trees count together: where any passed, the tree is good, and what failed
// was a flake.
func (v *view) observe() rates {
	trials := v.s.Speculation.Trials
	byTree := map[string][]BatchRun{}
	for i := range trials {
		if t := &trials[i]; t.Tree != "" {
			if runs, ok := byTree[t.Tree]; ok {
				byTree[t.Tree] = append(runs[:len(runs):len(runs)], t.Runs...)
			} else {
				byTree[t.Tree] = t.Runs
			}
		}
	}
	var all []outcome
	grounds := map[string]int{}
	bad := map[Head]bool{} // gone ones, and whether they only failed
	for i := range trials {
		t := &trials[i]
		if !t.Overdue {
			v.going += t.going()
		}
		if len(t.Pulls) == 0 || t.Unknown || i < len(trials)-recent && t.going() == 0 {
			continue
		}
		runs := t.Runs
		if t.Tree != "" {
			runs = byTree[t.Tree]
		}
		o := outcome{trial: t}
		o.verdict, o.failures = t.look(runs)
		for _, h := range t.Pulls {
			at, ok := v.at[h]
			switch {
			case !ok || at == gone:
				o.strangers++
				if !ok && (o.verdict == passed || o.verdict == failed) {
					was, seen := bad[h]
					bad[h] = o.verdict == failed && (was || !seen)
				}
			case at >= 0:
				o.set = o.set.with(at)
			}
		}
		if t.Behind >= 0 {
			for k := range len(v.merged) - t.Behind {
				o.set = o.set.with(window + k)
			}
			for k := max(0, len(v.merged)-t.Behind); k < len(v.merged); k++ {
				o.later = o.later.with(window + k)
			}
		} else {
			if grounds[t.Base] == 0 {
				grounds[t.Base] = len(grounds) + 1
			}
			o.ground = grounds[t.Base]
		}
		v.sort(o)
		if o.verdict == passed || o.verdict == failed {
			all = append(all, o)
		}
	}
	return v.rates(all, bad)
}

// sort puts an outcome where it belongs.
func (v *view) sort(o outcome) {
	live := o.trial.going() > 0
	switch {
	case live && (o.trial.Overdue || o.verdict != running):
		v.lost = append(v.lost, o.trial)
	case live:
		v.running = append(v.running, o)
	}
	switch {
	case o.verdict == running && o.failures > 0:
		// It is repeated, but has failed so far.
		o.verdict = failed
		v.trials = append(v.trials, o)
	case o.verdict == failed && o.set.waiting() > 0, o.verdict == passed && o.set.size() > 0:
		v.trials = append(v.trials, o)
	}
}

// rates tells how often pull requests and runs turned out to be bad. Those that left
// after they had only failed were bad; what failed although more than that passed was
// a flake.
func (v *view) rates(all []outcome, left map[Head]bool) rates {
	bad, good := 0.0, float64(len(v.s.Speculation.Landed))
	for _, only := range left {
		if only {
			bad++
		}
	}
	bad /= aloneShare + 0.2 // those of pairs have mostly passed before
	flakes, sound := 0.0, 0.0
	for i := range all {
		o := &all[i]
		if o.verdict == passed {
			sound++
			flakes += float64(o.failures)
			continue
		}
		for k := range all {
			if p := &all[k]; p.verdict == passed && o.strangers == 0 && p.ground == o.ground && p.set.holds(o.set) {
				flakes++
				break
			}
		}
	}
	return rates{
		bad:   (priorBad*priorSeen + bad) / (priorSeen + bad + good),
		flake: (priorFlake*flakesSeen + flakes) / (flakesSeen + flakes + sound),
	}
}
