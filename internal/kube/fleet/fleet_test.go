package fleet

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"prow/internal/kube"
)

func TestAClusterThatLeavesIsKnownForAWhile(t *testing.T) {
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	stamp, broken := 0, false
	// Nobody listens there.
	all := kube.Clusters{"": {Host: "http://127.0.0.1:1"}, "a": {Host: "http://127.0.0.1:1"}}
	change := func(clusters kube.Clusters, bad bool) {
		mu.Lock()
		defer mu.Unlock()
		all, broken = clusters, bad
		stamp++
	}
	told := make(chan string, 100)
	f, err := New(Options{
		Load: func() (kube.Clusters, error) {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return nil, errors.New("broken")
			}
			return all, nil
		},
		Stamp: func() string {
			mu.Lock()
			defer mu.Unlock()
			return strconv.Itoa(stamp)
		},
		PollInterval: 5 * time.Millisecond, Scheme: scheme, PodNamespace: "ns", Verbs: []string{"get"}, Select: labels.Everything(),
		OnChange: func(alias string) { told <- alias }, Failures: NewFailures(), Log: slog.New(slog.DiscardHandler),
		departedGrace: 200 * time.Millisecond, reviewFailing: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	until := func(alias string, want Standing) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
			if _, standing, err := f.Cluster(alias); standing == want && err != nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("cluster %q never became %d", alias, want)
			}
		}
	}
	until("a", Down)
	until("b", Unknown)
	change(nil, true)
	until("a", Down)
	change(kube.Clusters{"": {Host: "http://127.0.0.1:1"}, "b": {Host: "http://127.0.0.1:1"}}, false)
	until("b", Down)
	if _, standing, _ := f.Cluster("a"); standing != Down {
		t.Error("a cluster that just left is unknown at once")
	}
	until("a", Unknown)
	if st := f.Statuses(); st["b"] != NoManager || len(st) != 2 {
		t.Errorf("statuses %v", st)
	}
	if len(told) == 0 {
		t.Error("nobody was told")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestATokenThatComesFromAFileIsNoOtherAccess(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b *rest.Config
		same bool
	}{
		"a rotated token of a file": {&rest.Config{Host: "h", BearerToken: "1", BearerTokenFile: "f"}, &rest.Config{Host: "h", BearerToken: "2", BearerTokenFile: "f"}, true},
		"another token":             {&rest.Config{Host: "h", BearerToken: "1"}, &rest.Config{Host: "h", BearerToken: "2"}, false},
		"another host":              {&rest.Config{Host: "h"}, &rest.Config{Host: "i"}, false},
	} {
		if got := sameAccess(tc.a, tc.b); got != tc.same {
			t.Errorf("%s: %v", name, got)
		}
	}
}
