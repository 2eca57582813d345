package webhook

import (
	"slices"
	"strings"
	"testing"
)

func TestSignatures(t *testing.T) {
	for _, tc := range []struct{ key, body, want string }{
		{"abc", "{}", "sha256=19092633e5aa9a849dfcc9d2df4e76db2df1fcba7f38915f2c7833bd8a510f2f"},
		{"It's a Secret to Everybody", "Hello, World!", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
	} {
		if got := Sign([]byte(tc.body), tc.key); got != tc.want {
			t.Errorf("%q signed with %q is %s", tc.body, tc.key, got)
		}
	}
}

func TestWhichSecretsCount(t *testing.T) {
	keys, err := ParseKeys([]byte(`
'*': [{value: global}]
org: [{value: old, created_at: 2020-01-02T15:00:00Z}, {value: new}]
org/repo: [{value: own}]
`))
	if err != nil {
		t.Fatal(err)
	}
	legacy, err := ParseKeys([]byte("  just-a-secret\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		keys      Keys
		repo, org string
		want      []string
	}{
		"the repository's own secret hides the others": {keys, "org/repo", "org", []string{"own"}},
		"an org's secrets, both while they rotate":     {keys, "org/other", "org", []string{"old", "new"}},
		"an event of the org itself":                   {keys, "", "org", []string{"old", "new"}},
		"everybody else":                               {keys, "else/where", "else", []string{"global"}},
		"a sender without a name":                      {keys, "", "", []string{"global"}},
		"one secret for all":                           {legacy, "org/repo", "", []string{"just-a-secret"}},
		"nobody's":                                     {Keys{"org": {{Value: "x"}}}, "else/where", "", nil},
	} {
		var got []string
		for _, k := range tc.keys.candidates(tc.repo, tc.org) {
			got = append(got, k.Value)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	for _, bad := range []string{"", " \n", "'*': [{value: ''}]"} {
		if _, err := ParseKeys([]byte(bad)); err == nil || !strings.Contains(err.Error(), "empty") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestADamagedMapIsNoSecret(t *testing.T) {
	_, err := ParseKeys([]byte("org:\n- value: s3cret\n  created_at: nonsense\n"))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
	_, err = ParseKeys([]byte("org:\n- value: [s3cret\n"))
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "line") {
		t.Error(err)
	}
	if keys, err := ParseKeys([]byte("It's a Secret: to Everybody")); err != nil || keys["*"][0].Value != "It's a Secret: to Everybody" {
		t.Error(keys, err)
	}
}
