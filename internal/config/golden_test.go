package config

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"prow/internal/config/yamldec"
)

var update = flag.Bool("update", false, "rewrite the expected results")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(list) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return list
}

// TestBadFilesAreRefused compares the whole message, because its place and its
// words are what the author of the mistake gets.
func TestBadFilesAreRefused(t *testing.T) {
	for _, path := range files(t, "*.bad.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := Load(t.Context(), Options{ConfigPath: path})
			var list Errors
			if !errors.As(err, &list) {
				t.Fatalf("found %v, expected Errors", err)
			}
			for _, p := range list {
				if p.Line == 0 {
					t.Errorf("no line: %s", p)
				}
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", list.Error()+"\n")
			golden(t, strings.TrimSuffix(path, ".yaml")+".json", machineReadable(t, err))
		})
	}
}

// machineReadable is the form of an error for programs, which says as much.
func machineReadable(t *testing.T, err error) string {
	t.Helper()
	out, err := json.MarshalIndent(Problems(fmt.Errorf("loading: %w", err)), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

// TestGoodFilesLoad also checks that the effective configuration survives being
// written and read again.
func TestGoodFilesLoad(t *testing.T) {
	for _, path := range files(t, "*.good.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c, err := Load(t.Context(), Options{ConfigPath: path})
			if err != nil {
				t.Fatal(err)
			}
			dump, err := yaml.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", string(dump))
			var again Config
			if list := new(yamldec.Decoder).Decode(dump, &again, yamldec.Options{Strict: true}); len(list) > 0 {
				t.Fatalf("the dump is not understood: %v", list)
			}
			// Components that keep a dump as their state read it by the common way.
			var common Config
			if err := yaml.UnmarshalStrict(dump, &common); err != nil {
				t.Fatal(err)
			}
			if dump2, err := yaml.Marshal(&common); err != nil || string(dump2) != string(dump) {
				t.Errorf("%v: the dump changes (-first +second):\n%s", err, cmp.Diff(string(dump), string(dump2)))
			}
			dump2, err := yaml.Marshal(&again)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(dump), string(dump2)); diff != "" {
				t.Errorf("the dump changes when it is read again (-first +second):\n%s", diff)
			}
		})
	}
}
