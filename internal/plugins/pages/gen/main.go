// Command gen writes the reference of plugins. Run it through `make generate`, in
// the directory of the module.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	external "prow/internal/externalplugins/all"
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
	list := pages.Of(all.Plugins())
	for _, p := range external.Programs() {
		list = append(list, pages.Page{Plugin: p.Plugin, Program: p.Command.Name()})
	}
	for name, content := range pages.Files(list) {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
