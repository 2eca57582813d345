package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"log/slog"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	type options struct {
		Name string `json:"name"`
		Rest []string
	}
	for sentence, c := range map[string]struct {
		env  *string
		args []string
		want options
		code int
		err  string
	}{
		"the variable is the whole configuration": {env: ptr(`{"name":"env","unknown":1}`), args: []string{"--bad"}, want: options{Name: "env"}},
		"flag defaults do not apply to it":        {env: ptr(`{}`), want: options{}},
		"an empty variable is bad JSON":           {env: ptr(""), code: 1, err: "reading options from OPTIONS"},
		"flags":                                   {args: []string{"--name", "flag", "a", "b"}, want: options{Name: "flag", Rest: []string{"a", "b"}}},
		"flag defaults":                           {want: options{Name: "default"}},
		"a bad flag":                              {args: []string{"--bad"}, want: options{Name: "default"}, code: 2, err: "-bad"},
	} {
		t.Run(sentence, func(t *testing.T) {
			var got options
			lookup := func(string) (string, bool) {
				if c.env == nil {
					return "", false
				}
				return *c.env, true
			}
			code, err := Load("OPTIONS", lookup, append([]string{"prog"}, c.args...), &got,
				func(fs *flag.FlagSet) { fs.StringVar(&got.Name, "name", "default", "a name") },
				func(rest []string) error {
					if len(rest) > 0 {
						got.Rest = rest
					}
					return nil
				})
			if code != c.code || (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %d, %v", code, err)
			}
			if got.Name != c.want.Name || strings.Join(got.Rest, " ") != strings.Join(c.want.Rest, " ") {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func ptr(s string) *string { return &s }

func TestLoggerFields(t *testing.T) {
	var b bytes.Buffer
	NewLogger(&b, "sidecar", slog.LevelDebug).Debug("hello", "key", "value")
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"component": "sidecar", "severity": "debug", "level": "debug", "msg": "hello", "key": "value"} {
		if line[key] != want {
			t.Errorf("%s is %v, want %s", key, line[key], want)
		}
	}
	for key, part := range map[string]string{"file": "cli_test.go:", "func": "TestLoggerFields", "time": "T"} {
		if s, _ := line[key].(string); !strings.Contains(s, part) {
			t.Errorf("%s is %v", key, line[key])
		}
	}
}
