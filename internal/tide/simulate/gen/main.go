// Command gen writes the page about the simulator, with figures of all builtin scenarios.
package main

import (
	"bytes"
	"fmt"
	"os"

	"prow/internal/tide/simulate"
)

func main() {
	var b bytes.Buffer
	err := simulate.WriteDocument(&b)
	if err == nil {
		err = os.WriteFile("docs/tide-simulation.md", b.Bytes(), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
