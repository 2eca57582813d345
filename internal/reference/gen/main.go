// Command gen writes the reference documentation of the configuration files.
// Run it through `make generate`, in the directory of the module.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"prow/internal/reference"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	empty, err := reference.Empty(context.Background())
	if err != nil {
		return err
	}
	files, err := reference.Files(root, empty)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
