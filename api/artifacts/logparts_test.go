package artifacts

import "testing"

func TestLogParts(t *testing.T) {
	for log, want := range map[string]string{
		"build-log.txt":          "build-log.parts/000012.txt",
		"a/b/x-build-log.txt":    "a/b/x-build-log.parts/000012.txt",
		"logs/j/1/build-log.txt": "logs/j/1/build-log.parts/000012.txt",
	} {
		if got := LogPart(log, 12); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if n, ok := LogPartNumber(log, want); !ok || n != 12 {
			t.Errorf("%s: got %d, %t", want, n, ok)
		}
	}
	for _, name := range []string{"build-log.parts/12.txt", "build-log.parts/000000.txt", "build-log.parts/000012", "build-log.parts/+00012.txt", "build-log.parts/00001x.txt", "other.parts/000001.txt", "build-log.txt"} {
		if n, ok := LogPartNumber("build-log.txt", name); ok {
			t.Errorf("%s is no part, got %d", name, n)
		}
	}
	if got := LogPart("build-log.txt", 1234567); got != "build-log.parts/1234567.txt" {
		t.Errorf("got %s", got)
	}
}
