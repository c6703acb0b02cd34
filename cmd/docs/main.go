// Command docs renders the reference pages from what the decoder itself reads: the struct tags of annotations and scalers. It owns the pages' layout and
// no fact that stands on them.
//
//	go run ./cmd/docs [-dir docs]
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"autoscale.io/scalers"
	"autoscale.io/scalers/builtin"
)

func main() {
	dir := flag.String("dir", "docs", "`folder` that the pages go to and that holds the examples")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	pages, err := builtinPages(dir)
	if err != nil {
		return err
	}
	for _, page := range pages {
		path := filepath.Join(dir, filepath.FromSlash(page.path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(page.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func builtinPages(dir string) ([]page, error) {
	registry, err := builtin.Registry(scalers.Env{})
	if err != nil {
		return nil, err
	}
	return pages(registry, os.DirFS(dir))
}
