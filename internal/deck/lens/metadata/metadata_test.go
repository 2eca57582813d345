package metadata

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
	"prow/internal/deck/lens/podfile"
)

func TestAbout(t *testing.T)  { lenstest.About(t, New(), "metadata", "Metadata", 0, true) }
func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

// TestProbe44 is about a finish before the start, and about an image that is missing.
func TestProbe44(t *testing.T) {
	body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: lenstest.Texts(map[string]string{
		"started.json": `{"timestamp":1000062}`, "finished.json": `{"timestamp":1000000,"passed":true}`,
	}).Artifacts()}))
	if !strings.Contains(body, `class="warning"`) || !strings.Contains(body, "-1m2s") {
		t.Errorf("no warning with the negative duration: %s", body)
	}
	body = string(lenstest.Show(t, New(), &lens.Request{Artifacts: lenstest.Texts(map[string]string{
		"started.json": `{"timestamp":1000000}`,
		"podinfo.json": `{"pod":{"status":{"phase":"Pending","containerStatuses":[{"name":"test","image":"example.com/i:1","state":{"waiting":{"reason":"ErrImagePull"}}}]}}}`,
	}).Artifacts()}))
	if !strings.Contains(body, "container test ") || !strings.Contains(body, "example.com/i:1") {
		t.Errorf("the hint names no container or image: %s", body)
	}
}

func TestHints(t *testing.T) {
	events := func(all ...string) string {
		var out []string
		for i, e := range all {
			reason, message, _ := strings.Cut(e, "|")
			out = append(out, fmt.Sprintf(`{"reason":%q,"message":%q,"lastTimestamp":"2026-01-01T00:00:%02dZ"}`, reason, message, i))
		}
		return strings.Join(out, ",")
	}
	waiting := `"containerStatuses":[{"name":"c","image":"i","state":{"waiting":{"reason":"ImagePullBackOff","message":"m"}}}]`
	for name, tc := range map[string]struct{ status, events, want string }{
		"nothing is wrong":                     {`"phase":"Running"`, "", ""},
		"a pod that succeeded has no hint":     {`"phase":"Succeeded",` + waiting, events("FailedSync|x"), ""},
		"an image comes before all events":     {`"phase":"Pending",` + waiting, events("FailedMount|x"), "The container c could not start because its image i could not be pulled: m"},
		"the image of an init container":       {`"phase":"Pending","initContainerStatuses":[{"name":"c","image":"i","state":{"waiting":{"reason":"ErrImagePull","message":"m"}}}]`, "", "The container c could not start because its image i could not be pulled: m"},
		"another reason to wait is none":       {`"phase":"Pending","containerStatuses":[{"name":"c","state":{"waiting":{"reason":"PodInitializing"}}}]`, "", ""},
		"a volume with its cause":              {`"phase":"Pending"`, events(`FailedMount|MountVolume.SetUp failed for volume "v" : secret "s" not found`), `The pod could not start because the volume "v" could not be mounted: secret "s" not found`},
		"another failure of mounts":            {`"phase":"Pending"`, events(`FailedMount|Unable to attach`), `The pod could not start because a volume could not be mounted: Unable to attach`},
		"mounts of a running pod do not count": {`"phase":"Running"`, events(`FailedMount|x`), ""},
		"the newest event counts":              {`"phase":"Pending"`, events(`FailedMount|old`, `FailedMount|new`), `The pod could not start because a volume could not be mounted: new`},
		"a node selector":                      {`"phase":"Failed","reason":"MatchNodeSelector"`, "", "The pod could not start because its node did not match its node selector."},
		"no node":                              {`"phase":"Pending"`, events("FailedScheduling|0/3 nodes are available"), "There was no node for the pod: 0/3 nodes are available"},
		"mounts come before scheduling":        {`"phase":"Pending"`, events("FailedMount|m", "FailedScheduling|s"), "The pod could not start because a volume could not be mounted: m"},
		"an unhealthy node":                    {`"phase":"Pending"`, events("FailedCreatePodSandbox|s"), "The node of the pod seems to be unhealthy: s"},
		"an unhealthy node by another name":    {`"phase":"Running"`, events("FailedSync|s"), "The node of the pod seems to be unhealthy: s"},
		"init containers, a line each": {`"phase":"Pending","initContainerStatuses":[{"name":"a","ready":true,"state":{"terminated":{"reason":"Completed"}}},{"name":"b","state":{"terminated":{"reason":"Error","message":"m"}}},{"name":"c","state":{"running":{}}},{"name":"d","state":{"waiting":{"reason":"W"}}}]`, "",
			"The init container b ended: Error: m\nThe init container c still runs.\nThe init container d waits: W"},
	} {
		info, err := podfile.Parse([]byte(`{"pod":{"status":{` + tc.status + `}},"events":[` + tc.events + `]}`))
		if err != nil {
			t.Fatal(name, err)
		}
		if got := strings.Join(hint(info), "\n"); got != tc.want {
			t.Errorf("%s: got  %s\nwant %s", name, got, tc.want)
		}
	}
	for _, raw := range []string{`{}`, `null`, `{"pod":null}`, `{"events":[{"reason":"FailedSync"}]}`} {
		info, err := podfile.Parse([]byte(raw))
		if err != nil || hint(info) != nil {
			t.Errorf("%s: got %v, %v", raw, hint(info), err)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for name, tc := range map[string]struct{ finished, prowJob, want, hint string }{
		"nothing is there":                      {"", "", running, ""},
		"passed":                                {`{"passed":true}`, "", passed, ""},
		"not passed":                            {`{"passed":false,"result":"SUCCESS"}`, "", failed, ""},
		"only a result that is success":         {`{"result":"SUCCESS"}`, "", passed, ""},
		"only another result":                   {`{"result":"FAILURE"}`, "", failed, ""},
		"aborted":                               {`{"passed":false,"result":"ABORTED"}`, "", aborted, ""},
		"a ProwJob in error":                    {`{"passed":true}`, `{"status":{"state":"error","description":"why"}}`, errored, "why"},
		"a ProwJob that ended without the file": {"", `{"status":{"state":"failure"}}`, failed, ""},
		"a ProwJob that waits":                  {"", `{"status":{"state":"pending","description":"no"}}`, running, ""},
		"fields of strange types do not matter": {`{"passed":true,"metadata":[],"result":7,"timestamp":1.5e9}`, "", passed, ""},
	} {
		var in inputs
		var err error
		if tc.finished != "" {
			if in.finished, err = parse([]byte(tc.finished)); err != nil {
				t.Fatal(name, err)
			}
		}
		if tc.prowJob != "" {
			if in.prowJob, err = podfile.ParseProwJob([]byte(tc.prowJob)); err != nil {
				t.Fatal(name, err)
			}
		}
		v := conclude(in, time.Unix(2e9, 0))
		if v.Verdict != tc.want || strings.Join(v.Hints, "\n") != tc.hint {
			t.Errorf("%s: got %s, %q", name, v.Verdict, v.Hints)
		}
	}
}

func TestMetadataIsFlattened(t *testing.T) {
	var a, b map[string]any
	_ = json.Unmarshal([]byte(`{"x":"1","n":{"y":"2","z":{"deep":"3","none":""}},"number":4,"list":["5"]}`), &a)
	_ = json.Unmarshal([]byte(`{"x":"later"}`), &b)
	facts, _ := flatten(a, b)
	if got, want := fmt.Sprint(facts), "[{n.y 2 } {n.z.deep 3 } {x later }]"; got != want {
		t.Errorf("got %s", got)
	}
	many := map[string]any{}
	for i := range 600 {
		many[fmt.Sprint(i)] = strings.Repeat("x", 100_000)
	}
	if facts, more := flatten(many); len(facts) != maxFacts || more != 100 || len(facts[0].Value) > maxValue+3 {
		t.Errorf("got %d and %d more", len(facts), more)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"timestamp":1,"metadata":{"a":{"b":"c"}}}`, `{"timestamp":"x"}`, `null`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := New().Body(t.Context(), &lens.Request{Artifacts: lenstest.Texts(map[string]string{"started.json": string(raw), "finished.json": string(raw), "podinfo.json": string(raw), "prowjob.json": string(raw)}).Artifacts(), Now: lenstest.Now})
		if err != nil {
			t.Fatal(err)
		}
		if problems := lenstest.Unsafe(string(body)); len(problems) > 0 {
			t.Fatal(problems)
		}
	})
}
