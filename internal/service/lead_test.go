package service_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"prow/internal/kube/kubetest"
	"prow/internal/service"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

func quiet(name string) *service.Runtime {
	return service.NewRuntime(name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), nil)
}

func TestTheNextLeaderStartsOnlyAfterTheLastHasFinished(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Start(t)
	lease := service.Lease{Name: "lock", Namespace: cluster.Namespace(t)}
	first, stopFirst := context.WithCancel(t.Context())
	leads, finish, finished := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		finished <- service.Lead(first, quiet("x"), cluster.Config, lease, func(ctx context.Context) error {
			close(leads)
			<-ctx.Done()
			<-finish // what it had begun
			return nil
		})
	}()
	<-leads
	second := make(chan struct{})
	secondCtx, stopSecond := context.WithCancel(t.Context())
	secondDone := make(chan error, 1)
	go func() {
		secondDone <- service.Lead(secondCtx, quiet("x"), cluster.Config, lease, func(ctx context.Context) error {
			close(second)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	stopFirst()
	select {
	case <-second:
		t.Fatal("two led at a time")
	case <-time.After(3 * time.Second): // longer than a candidate waits between two looks
	}
	released := time.Now()
	close(finish)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	<-second
	if waited := time.Since(released); waited > 10*time.Second {
		t.Errorf("the lease was not given back: the next waited %s", waited)
	}
	stopSecond()
	if err := <-secondDone; !errors.Is(err, context.Canceled) {
		t.Errorf("the error of the work is not returned: %v", err)
	}
}

func TestALostLeadEndsTheWork(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Start(t)
	lease := service.Lease{Name: "lock", Namespace: cluster.Namespace(t)}
	client := kubernetes.NewForConfigOrDie(cluster.Config).CoordinationV1().Leases(lease.Namespace)
	err := service.Lead(t.Context(), quiet("x"), cluster.Config, lease, func(ctx context.Context) error {
		// Somebody else takes it, as after a long pause of this process.
		taken, err := client.Get(ctx, lease.Name, metav1.GetOptions{})
		for err == nil {
			other := "other"
			now := metav1.NowMicro()
			taken.Spec.HolderIdentity, taken.Spec.RenewTime = &other, &now
			if _, err = client.Update(ctx, taken, metav1.UpdateOptions{}); err == nil {
				break
			}
			taken, err = client.Get(ctx, lease.Name, metav1.GetOptions{})
		}
		if err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	if !errors.Is(err, service.ErrLostLead) {
		t.Fatalf("got %v, want ErrLostLead", err)
	}
}

func TestWithoutRightsAnOptionalLeaseIsDoneWithout(t *testing.T) {
	t.Parallel()
	cluster := kubetest.Start(t)
	ns := cluster.Namespace(t)
	nobody := rest.CopyConfig(cluster.Config)
	nobody.Impersonate = rest.ImpersonationConfig{UserName: "nobody-" + ns}
	ran := false
	work := func(context.Context) error { ran = true; return nil }
	if err := service.Lead(t.Context(), quiet("x"), nobody, service.Lease{Name: "lock", Namespace: ns, Optional: true}, work); err != nil || !ran {
		t.Fatalf("ran %v, error %v", ran, err)
	}
	// Where the lease is a must, the process waits for the rights.
	ran = false
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := service.Lead(ctx, quiet("x"), nobody, service.Lease{Name: "lock", Namespace: ns}, work); err != nil || ran {
		t.Fatalf("ran %v, error %v", ran, err)
	}
}
