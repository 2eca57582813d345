package restcoverage

import (
	"fmt"
	"strings"
	"testing"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
)

func TestAbout(t *testing.T) {
	lenstest.About(t, New(), "restcoverage", "REST API coverage report", 0, false)
}
func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

func TestThresholds(t *testing.T) {
	for name, tc := range map[string]struct {
		config  string
		percent float64
		want    string
	}{
		"up to 10 is red by default":               {"", 10, "failed"},
		"above is yellow":                          {"", 10.1, "flaky"},
		"up to 40":                                 {"", 40, "flaky"},
		"above is green":                           {"", 40.1, "passed"},
		"a configuration stands instead of both":   {`{"threshold_warning":90}`, 10, "flaky"},
		"with its own error threshold":             {`{"threshold_warning":90,"threshold_error":20}`, 20, "failed"},
		"an empty configuration has no thresholds": {`{}`, 0.1, "passed"},
	} {
		run := lenstest.Texts(map[string]string{"r.json": fmt.Sprintf(`{"percent":%v}`, tc.percent)})
		body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts(), Config: []byte(tc.config)}))
		if !strings.Contains(body, `<strong class="`+tc.want+`">`) {
			t.Errorf("%s: got %s", name, body)
		}
	}
}

func TestMuchIsCut(t *testing.T) {
	deep := strings.Repeat(`{"items":{"a":`, 2000) + `{}` + strings.Repeat(`}}`, 2000)
	var wide strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&wide, `"%d":{},`, i)
	}
	for name, root := range map[string]string{"deep": deep, "wide": `{"items":{` + wide.String() + `"z":{}}}`} {
		run := lenstest.Texts(map[string]string{"r.json": `{"endpoints":{"/":{"get":{"params":{"body":{"root":` + root + `}}}}}}`})
		body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()}))
		if !strings.Contains(body, "more parameters than are shown") || len(body) > 2_000_000 {
			t.Errorf("%s: %d bytes", name, len(body))
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"percent":1e300,"endpoints":{"/":{"get":{"params":{"body":{"root":{"items":{"a":null}}}}},"put":null}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		run := lenstest.Texts(map[string]string{"r.json": string(raw)})
		lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()})
	})
}
