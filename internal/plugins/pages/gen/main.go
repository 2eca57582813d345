// Command gen writes the reference of plugins. Run it through `make generate`, in
// the directory of the module.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"prow/internal/plugins/all"
	"prow/internal/plugins/pages"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	if err := os.MkdirAll(filepath.Join(root, pages.Dir), 0o755); err != nil {
		return err
	}
	for name, content := range pages.Files(all.Plugins()) {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
