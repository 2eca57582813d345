package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Times of a lease: how long it lasts, how long its holder tries to renew it,
// and how often holder and candidates look at it.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// ErrLostLead tells that another process may lead now: the program must end.
var ErrLostLead = errors.New("lost the lead")

// Lease names the object that the replicas of a component compete for.
type Lease struct {
	Name, Namespace string
	// Optional lets a component whose service account may not touch leases run
	// without one. It is for components that used to have none: an installation
	// keeps working with the rights it has granted, and is told.
	Optional bool
	// Vacated, if set, is told before the work begins when the last holder was
	// last known to lead. It is not called where there was none.
	Vacated func(at time.Time)
}

// Lead waits until this process leads and then runs run. The context of run
// ends when ctx does or when the lead is lost. The lease is given back only
// after run has returned, so no two processes ever run at a time, and the next
// one need not wait for it to expire.
//
// It returns nil if ctx ended before the lead was won, ErrLostLead if the lead
// was lost, and what run returns otherwise.
func Lead(ctx context.Context, rt *Runtime, config *rest.Config, lease Lease, run func(context.Context) error) error {
	config = rest.CopyConfig(config)
	// A request that hangs must not outlive the deadline of the renewal.
	config.Timeout = renewDeadline / 2
	client, err := coordination.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("lease %s/%s: %w", lease.Namespace, lease.Name, err)
	}
	_, err = client.Leases(lease.Namespace).Get(ctx, lease.Name, metav1.GetOptions{})
	if lease.Optional && apierrors.IsForbidden(err) {
		rt.Log.WarnContext(ctx, "runs without leader election, as it may not read its lease: run one replica only, or grant get, create and update on leases",
			"lease", lease.Namespace+"/"+lease.Name, "error", err)
		return run(ctx)
	}
	host, err := os.Hostname()
	if err != nil {
		host = rt.Name
	}
	lock := &watchedLock{Interface: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: lease.Namespace, Name: lease.Name},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + uuid.NewString()},
	}}
	return lead(ctx, rt, lock, func(ctx context.Context) error {
		if at := lock.vacated(); lease.Vacated != nil && !at.IsZero() {
			lease.Vacated(at)
		}
		return run(ctx)
	})
}

// watchedLock remembers when somebody else held the lock last.
type watchedLock struct {
	resourcelock.Interface

	mu   sync.Mutex
	last time.Time
}

// Get implements resourcelock.Interface.
func (l *watchedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if err == nil && record.HolderIdentity != l.Identity() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.last = record.RenewTime.Time
	}
	return record, raw, err
}

func (l *watchedLock) vacated() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func lead(ctx context.Context, rt *Runtime, lock resourcelock.Interface, run func(context.Context) error) error {
	log := rt.Log.With("lease", lock.Describe(), "identity", lock.Identity())
	// The election has a context of its own: ended, it gives the lease back.
	election, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	led := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		ReleaseOnCancel: true, Name: rt.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(led) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		elector.Run(election)
	}()
	select {
	case <-ctx.Done():
		release()
		<-ended
		return nil
	case <-ended:
		return fmt.Errorf("leader election for %s ended by itself", lock.Describe())
	case <-led:
	}
	log.InfoContext(ctx, "leads")
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		<-ended
		stop(ErrLostLead)
	}()
	err = run(work)
	if errors.Is(context.Cause(work), ErrLostLead) && ctx.Err() == nil {
		return fmt.Errorf("%w: %s", ErrLostLead, lock.Describe())
	}
	release()
	<-ended
	log.InfoContext(ctx, "gave the lead back")
	return err
}
