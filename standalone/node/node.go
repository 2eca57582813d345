package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"

	"prow/standalone/node/executor"
)

const (
	// DefaultName of the node.
	DefaultName = "standalone"
	// DefaultLogBytes is kept of each container's output.
	DefaultLogBytes = 32 << 20
	// DefaultStopGrace is how long containers may take when the program stops.
	DefaultStopGrace = 2 * time.Second

	// syncWorkers handle pods concurrently. Nothing they do takes long: the
	// work happens in each pod's own runner.
	syncWorkers = 10
)

// Options configure a node. Dir, TLS and Executor are required.
type Options struct {
	// Name of the node; empty: DefaultName.
	Name string
	// Dir is a private directory for the pods' files.
	Dir string
	// TLS is the server side of the endpoint that serves logs. It must let
	// only the API server in.
	TLS *tls.Config
	// Executor runs the containers.
	Executor executor.Executor
	// HostPaths are the directories that hostPath volumes may be in. Empty:
	// pods with hostPath volumes stay unscheduled.
	HostPaths []string
	// LogBytes bounds the kept output of each container; 0: DefaultLogBytes.
	LogBytes int64
	// StopGrace bounds the end of the containers when Run ends; 0:
	// DefaultStopGrace.
	StopGrace time.Duration
	// Ready is called once pods are being run; may be nil.
	Ready func()
	// Logger receives one line per event of a pod; nil: slog's default.
	Logger *slog.Logger
}

func (o *Options) complete() error {
	if o.Dir == "" || o.TLS == nil || o.Executor == nil {
		return errors.New("node: Dir, TLS and Executor are required")
	}
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.LogBytes == 0 {
		o.LogBytes = DefaultLogBytes
	}
	if o.StopGrace == 0 {
		o.StopGrace = DefaultStopGrace
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Ready == nil {
		o.Ready = func() {}
	}
	for i, p := range o.HostPaths {
		if !filepath.IsAbs(p) {
			return fmt.Errorf("node: host path %q is not absolute", p)
		}
		o.HostPaths[i] = filepath.Clean(p)
	}
	return nil
}

// Run is a node until ctx ends. When it returns, no container is left. Pods
// that ran then are found by the next Run on the same Dir and marked as lost.
func Run(ctx context.Context, cfg *rest.Config, opts Options) error {
	if err := opts.complete(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(opts.Dir, "pods"), 0o700); err != nil {
		return fmt.Errorf("make directory for pods: %w", err)
	}
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = -1, -1 // statuses must not queue behind each other
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("client for node: %w", err)
	}
	if err := opts.Executor.Cleanup(ctx); err != nil {
		return fmt.Errorf("clean up after an earlier run: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for log requests: %w", err)
	}
	defer listener.Close()

	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	defer broadcaster.Shutdown()
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: opts.Name})

	informer := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", opts.Name).String()
	}))
	pods := informer.Core().V1().Pods()
	p := newProvider(client, pods.Lister(), recorder, opts)
	if _, err := pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: p.gone}); err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}

	// Runners outlive ctx by the grace they have; the group below ends first.
	defer p.stop()
	informer.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), pods.Informer().HasSynced) {
		return context.Cause(ctx)
	}
	if err := p.restore(); err != nil {
		return err
	}

	pc, err := podController(client, pods, recorder, p)
	if err != nil {
		return err
	}
	machine := newMachine(opts.Name, listener.Addr().(*net.TCPAddr).Port)
	nc, err := node.NewNodeController(node.NaiveNodeProvider{}, machine, client.CoreV1().Nodes(),
		node.WithNodeEnableLeaseV1(client.CoordinationV1().Leases(corev1.NamespaceNodeLease), node.DefaultLeaseDuration))
	if err != nil {
		return fmt.Errorf("make node controller: %w", err)
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return wrap("run node controller", nc.Run(ctx)) })
	group.Go(func() error { return wrap("run pod controller", pc.Run(ctx, syncWorkers)) })
	group.Go(func() error { return serve(ctx, listener, opts.TLS, p) })
	group.Go(func() error {
		for _, ready := range []<-chan struct{}{nc.Ready(), pc.Ready()} {
			select {
			case <-ready:
			case <-ctx.Done():
				return nil
			}
		}
		opts.Ready()
		return wrap("bind pods", schedule(ctx, client, machine, p.admit, opts.Logger))
	})
	return group.Wait()
}

func wrap(what string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func podController(client kubernetes.Interface, pods podInformer, recorder record.EventRecorder, p *provider) (*node.PodController, error) {
	// The controller asks for these informers but, with its own resolution of
	// the environment switched off, never for their content: they are not
	// started.
	unused := informers.NewSharedInformerFactory(client, 0).Core().V1()
	limiter := func() workqueue.TypedRateLimiter[any] {
		return workqueue.NewTypedItemExponentialFailureRateLimiter[any](5*time.Millisecond, 10*time.Second)
	}
	pc, err := node.NewPodController(node.PodControllerConfig{
		PodClient:         podsGetter{client.CoreV1(), p},
		PodInformer:       pods,
		EventRecorder:     quietRecorder{recorder},
		Provider:          p,
		ConfigMapInformer: unused.ConfigMaps(), SecretInformer: unused.Secrets(), ServiceInformer: unused.Services(),
		SyncPodsFromKubernetesRateLimiter:    limiter(),
		DeletePodsFromKubernetesRateLimiter:  limiter(),
		SyncPodStatusFromProviderRateLimiter: limiter(),
		SkipDownwardAPIResolution:            true,
	})
	if err != nil {
		return nil, fmt.Errorf("make pod controller: %w", err)
	}
	return pc, nil
}
