// Package simulate reads scenarios and recorded histories, has planners play them,
// and prints how they fared.
package simulate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"prow/internal/tide/sim"
)

// maxFile bounds what is read, in bytes.
const maxFile = 256 << 20

// loadFile reads a scenario; recorded arrivals are named relative to it.
func loadFile(file string) (sim.Scenario, error) {
	return load(os.DirFS(filepath.Dir(file)), filepath.Base(file), file)
}

// builtin returns the scenarios of the program, or those with the names.
func builtin(names []string) ([]sim.Scenario, error) {
	files, err := fs.Glob(sim.Scenarios, "scenarios/*.yaml")
	if err != nil {
		return nil, err
	}
	byName := map[string]sim.Scenario{}
	var all []sim.Scenario
	var have []string
	for _, file := range files {
		sc, err := load(sim.Scenarios, file, file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		byName[name], have, all = sc, append(have, name), append(all, sc)
	}
	if len(names) == 0 {
		return all, nil
	}
	all = nil
	for _, name := range names {
		sc, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("%q is no builtin scenario: expected one of %s", name, strings.Join(have, ", "))
		}
		all = append(all, sc)
	}
	return all, nil
}

// load reads a scenario from a file system; shown is how the file is called in errors.
func load(from fs.FS, file, shown string) (sim.Scenario, error) {
	content, err := readBounded(from, file)
	if err != nil {
		return sim.Scenario{}, err
	}
	sc, err := decode(shown, content)
	if err != nil {
		return sc, err
	}
	if sc.Name == "" {
		sc.Name = strings.TrimSuffix(path.Base(file), ".yaml")
	}
	if name := sc.Arrivals.Recorded; name != "" {
		recorded := path.Join(path.Dir(file), name)
		content, err := readBounded(from, recorded)
		if err != nil {
			return sc, fmt.Errorf("%s: arrivals.recorded: %w", shown, err)
		}
		if sc.Arrivals.List, err = arrivals(name, content); err != nil {
			return sc, fmt.Errorf("%s: arrivals.recorded: %w", shown, err)
		}
	}
	return sc, check(shown, content, &sc)
}

func readBounded(from fs.FS, file string) ([]byte, error) {
	info, err := fs.Stat(from, file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, errors.New(file + ": it is too large")
	}
	return fs.ReadFile(from, file)
}
