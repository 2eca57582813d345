package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"prow/internal/store"
	"prow/internal/store/storetest"
)

func results(key, names string, minute int) store.TestResults {
	return store.TestResults{Key: key, Names: names, Ended: start.Add(time.Duration(minute) * time.Minute), Body: []byte("results of " + key)}
}

// keptResults are the keys of those that are there, and the names.
func keptResults(t *testing.T, s *store.Store, keys, names string) string {
	t.Helper()
	found, err := s.TestResults(t.Context(), strings.Split(keys, ""))
	must(t, err)
	sets, err := s.TestNames(t.Context(), strings.Split(names, ""))
	must(t, err)
	var out []string
	for key := range found {
		out = append(out, key)
	}
	for name := range sets {
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

func TestResultsOfTestsComeBackAsTheyWereWritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		must(t, s.PutTestResults(t.Context(), results("a", "N", 0), []byte("names"), start))
		must(t, s.PutTestResults(t.Context(), results("b", "N", 1), []byte("names"), start))
		changed := results("a", "M", 5)
		changed.Body = []byte{0, 1, 2}
		must(t, s.PutTestResults(t.Context(), changed, []byte{3, 0}, start))
		must(t, s.Close())
		s = open()
		found, err := s.TestResults(t.Context(), []string{"a", "b", "c"})
		must(t, err)
		if len(found) != 2 || string(found["a"].Body) != "\x00\x01\x02" || found["a"].Names != "M" || !found["a"].Ended.Equal(changed.Ended) || string(found["b"].Body) != "results of b" {
			t.Errorf("%+v", found)
		}
		names, err := s.TestNames(t.Context(), []string{"M", "N", "O"})
		must(t, err)
		if len(names) != 2 || string(names["M"]) != "\x03\x00" || string(names["N"]) != "names" {
			t.Errorf("%q", names)
		}
		if found, err := s.TestResults(t.Context(), nil); err != nil || len(found) != 0 {
			t.Errorf("nothing is asked for: %v %v", found, err)
		}
	})
}

func TestResultsOfTestsGoByAgeAndBySize(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		put := func(key, names string, ended, used int) {
			must(t, s.PutTestResults(t.Context(), results(key, names, ended), []byte(strings.Repeat("n", 100)), start.Add(time.Duration(used)*time.Hour)))
		}
		put("a", "X", 0, 9)
		put("b", "X", 10, 2)
		put("c", "Y", 20, 3)
		put("d", "Z", 30, 4)
		put("e", "Z", 40, 5)
		n, err := s.PruneTestResults(t.Context(), start.Add(5*time.Minute), 1<<20)
		must(t, err)
		if got := keptResults(t, s, "abcde", "XYZ"); n != 1 || got != "XYZbcde" {
			t.Errorf("by age: %d, %s", n, got)
		}
		// What is of use stays: b is the last one now.
		must(t, s.KeepTestResults(t.Context(), []string{"b"}, start.Add(20*time.Hour)))
		n, err = s.PruneTestResults(t.Context(), time.Time{}, 2*100+3*int64(len("results of x")))
		must(t, err)
		if got := keptResults(t, s, "abcde", "XYZ"); n != 1 || got != "XZbde" {
			t.Errorf("by size: %d, %s", n, got)
		}
		n, err = s.PruneTestResults(t.Context(), time.Time{}, 0)
		must(t, err)
		if got := keptResults(t, s, "abcde", "XYZ"); n != 3 || got != "" {
			t.Errorf("nothing has room: %d, %s", n, got)
		}
		for i := range 700 {
			put(fmt.Sprint(i), fmt.Sprint(i), i, i)
		}
		n, err = s.PruneTestResults(t.Context(), start.Add(690*time.Minute), 1<<20)
		must(t, err)
		if n != 690 {
			t.Errorf("many: %d", n)
		}
	})
}
