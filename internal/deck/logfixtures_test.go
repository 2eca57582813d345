package deck

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
)

// logFixtures are the runs of test/browser/log.test.js, as variables of its
// environment.
func logFixtures(s *site) []string {
	s.t.Helper()
	long := s.finished("long-log", "1", nil)
	var text strings.Builder
	for i := 1; i <= 20_000; i++ {
		switch {
		case i == 4711 || i == 15_000:
			fmt.Fprintf(&text, "\x1b[31m--- FAIL\x1b[0m: TestUpload (0.02s) https://example.com/<b>?a=1&b=2 in line %d\n", i)
		case i == 9000:
			text.WriteString("a needle <img src=x onerror=alert(1)> \x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07\n")
		default:
			fmt.Fprintf(&text, "step %d of a long job that has much to say about every step which it takes on its way\n", i)
		}
	}
	s.store(s.dir(long)+"/build-log.txt", text.String())

	two := s.finished("two-logs", "2", func(pj *v1.ProwJob) {
		pj.Spec.PodSpec.Containers = []corev1.Container{{Name: "test", Image: "i"}, {Name: "setup", Image: "i"}}
	})
	s.store(s.dir(two)+"/build-log.txt", numbered(100))
	s.store(s.dir(two)+"/setup-build-log.txt", strings.ReplaceAll(numbered(3000), "line", "setup"))

	live := s.job("live-log", func(pj *v1.ProwJob) {
		pj.Spec.Job = "live-log"
		now := metav1.Now()
		pj.Status.State, pj.Status.PodName, pj.Status.BuildID, pj.Status.PendingTime = v1.PendingState, "live-log", "3", &now
	})
	s.runPod(live, `for i in $(seq 1 1500); do echo "early $i"; done; for i in $(seq 1 3000); do echo "tick $i"; sleep 0.2; done`)
	s.eventually(s.view(live), "tick 3")
	return []string{"LONG_LOG=" + s.view(long), "TWO_LOGS=" + s.view(two), "LIVE_LOG=" + s.view(live)}
}
