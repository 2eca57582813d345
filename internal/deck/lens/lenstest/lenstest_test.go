package lenstest

import (
	"errors"
	"testing"

	"prow/internal/deck/lens"
)

func TestWhatIsUnsafeIsFound(t *testing.T) {
	for name, body := range map[string]string{
		"a script":                 `<p><script>x</script>`,
		"a script in a drawing":    `<svg><script>x</script></svg>`,
		"a handler":                `<p onclick="x">`,
		"a handler without quotes": `<p ONLOAD=x>`,
		"a style":                  `<p style="background:url(http://x)">`,
		"an address that runs":     `<a href=" javascript:x">`,
		"an address of data":       `<a href="data:text/html,x">`,
		"a frame of our origin":    `<iframe sandbox="allow-scripts allow-same-origin" srcdoc="x">`,
		"a picture of elsewhere":   `<img src="https://x/y.png">`,
		"a form":                   `<form action="https://x">`,
	} {
		if len(Unsafe(body)) == 0 {
			t.Errorf("%s: nothing is found in %s", name, body)
		}
	}
	if found := Unsafe(`<details open><summary>a &lt;script&gt;</summary><a href="view/x" rel="noreferrer">b</a></details><iframe sandbox="allow-scripts allow-popups" srcdoc="&lt;script&gt;"></iframe>`); len(found) > 0 {
		t.Error(found)
	}
}

func TestArtifactsKeepTheContract(t *testing.T) {
	run := NewRun(map[string]*File{"a": {Text: "0123456789"}, "b": {Text: "0123456789", Compressed: true}, "c": {Live: true}})
	run.Limit = 8
	all := run.Artifacts()
	for name, tc := range map[string]struct {
		artifact       int
		offset, length int64
		want           string
		err            error
	}{
		"a part":                           {0, 2, 3, "234", nil},
		"less where the content ends":      {0, 8, 5, "89", nil},
		"nothing at the end":               {0, 10, 5, "", nil},
		"beyond the end":                   {0, 11, 1, "", lens.ErrRange},
		"more than the site reads":         {0, 0, 9, "", lens.ErrTooLarge},
		"the beginning of compressed text": {1, 0, 4, "0123", nil},
		"a part of compressed text":        {1, 1, 4, "", lens.ErrOffset},
		"all of a text that is too long":   {1, 0, lens.AllText, "", lens.ErrTooLarge},
	} {
		got, err := all[tc.artifact].Range(t.Context(), tc.offset, tc.length)
		if string(got) != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if err := all[0].SetMetadata(t.Context(), map[string]string{"x": "1", "y": "2"}); err != nil {
		t.Fatal(err)
	}
	if err := all[0].SetMetadata(t.Context(), map[string]string{"x": ""}); err != nil {
		t.Fatal(err)
	}
	if info, err := all[0].Stat(t.Context()); err != nil || info.Metadata["y"] != "2" || len(info.Metadata) != 1 {
		t.Errorf("got %v, %v", info, err)
	}
	if err := all[2].SetMetadata(t.Context(), nil); !errors.Is(err, lens.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
