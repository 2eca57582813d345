package controlplane

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Options say where a control plane lives and what it starts with.
type Options struct {
	// Dir is the state directory, made if it does not exist.
	Dir string
	// Port of the API server on 127.0.0.1. 0 takes the port of the last start
	// if it is free, else any free one.
	Port int
	// Namespaces that must exist besides "default".
	Namespaces []string
	// AllAPIs serves also the APIs that have no controller here, such as
	// Deployments, for checks of manifests.
	AllAPIs bool
	// ReadyTimeout bounds the time until everything answers; 0 means a minute.
	ReadyTimeout time.Duration
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	state     *state
	pki       *pki
	etcd      *etcd
	apiserver *apiserver
	config    *rest.Config

	done     chan struct{}
	err      error // valid once done is closed
	stopping chan struct{}
	stopOnce sync.Once
}

// started guards what Kubernetes' libraries keep per process: feature gates,
// metrics and the log file can be set up once only.
var started atomic.Bool

// Start brings up etcd and kube-apiserver on the state directory and returns
// once the API answers, the namespaces exist and ProwJobs can be created.
// ctx bounds the start only; the control plane runs until Stop, so that its
// users can end in order before it. A process can start one control plane only.
//
// The error says what the user can do about it where there is something to do:
// a taken port, a directory that is locked, unreadable, foreign or of a newer
// program.
func Start(ctx context.Context, opts Options) (*ControlPlane, error) {
	s, err := openState(opts.Dir)
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{state: s, done: make(chan struct{}), stopping: make(chan struct{})}
	if err := cp.start(ctx, opts); err != nil {
		return nil, errors.Join(err, cp.abandon())
	}
	go cp.supervise()
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context, opts Options) error {
	listener, err := cp.state.listen(ctx, opts.Port)
	if err != nil {
		return err
	}
	if !started.CompareAndSwap(false, true) {
		listener.Close()
		return errors.New("this process has already started a control plane")
	}
	if err := logToFile(cp.LogPath()); err != nil {
		listener.Close()
		return err
	}
	if cp.pki, err = openPKI(cp.state, time.Now()); err != nil {
		listener.Close()
		return err
	}
	timeout := opts.ReadyTimeout
	if timeout == 0 {
		timeout = time.Minute
	}
	readyCtx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not ready after %s, see %s", timeout, cp.LogPath()))
	defer cancel()
	if cp.etcd, err = startEtcd(readyCtx, cp.state); err != nil {
		listener.Close()
		return err
	}
	// The server outlives this call and must not end before Stop says so.
	if cp.apiserver, err = startAPIServer(context.WithoutCancel(ctx), cp.pki, cp.etcd.endpoint, listener, opts.AllAPIs); err != nil {
		listener.Close()
		return err
	}
	if cp.config, err = cp.writeKubeconfig(listener.Addr()); err != nil {
		return err
	}
	return cp.bootstrap(readyCtx, opts.Namespaces)
}

// bootstrap waits for the API and lays the ground in it, giving up early if a
// server ends.
func (cp *ControlPlane) bootstrap(ctx context.Context, namespaces []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-cp.apiserver.done:
			cancel(fmt.Errorf("kube-apiserver ended: %w", cp.apiserver.err))
		case err := <-cp.etcd.fatal:
			cancel(fmt.Errorf("etcd ended: %w", err))
		case <-ctx.Done():
		}
	}()
	client, err := kubernetes.NewForConfig(cp.config)
	if err != nil {
		return fmt.Errorf("client for the API server: %w", err)
	}
	steps := []func() error{
		func() error { return waitReady(ctx, client) },
		func() error { return ensureNamespaces(ctx, client, namespaces) },
		func() error { return ensureCRD(ctx, cp.config) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return fmt.Errorf("start control plane: %w (%w)", cause, err)
			}
			return fmt.Errorf("start control plane: %w", err)
		}
	}
	return nil
}

// writeKubeconfig stores the administrator's credentials in the form that
// kubectl reads, self-contained so that the file can be copied.
func (cp *ControlPlane) writeKubeconfig(addr net.Addr) (*rest.Config, error) {
	files := map[string][]byte{}
	for _, name := range []string{cp.pki.certFile("ca"), cp.pki.certFile(leafAdmin.name), cp.pki.keyFile(leafAdmin.name)} {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read credentials: %w", err)
		}
		files[name] = raw
	}
	const name = "prow-standalone"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   "https://" + addr.String(),
		CertificateAuthorityData: files[cp.pki.certFile("ca")],
	}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: files[cp.pki.certFile(leafAdmin.name)],
		ClientKeyData:         files[cp.pki.keyFile(leafAdmin.name)],
	}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	raw, err := clientcmd.Write(*kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("write kubeconfig: %w", err)
	}
	if err := cp.state.writeFile("kubeconfig", raw); err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("read own kubeconfig: %w", err)
	}
	// Clients in this process are trusted and few; the client's own brake
	// would only make jobs wait.
	config.QPS, config.Burst = -1, -1
	return config, nil
}

// supervise stops everything when any part ends or Stop is called.
func (cp *ControlPlane) supervise() {
	var cause error
	select {
	case <-cp.apiserver.done:
		cause = errors.New("kube-apiserver ended unexpectedly")
		if cp.apiserver.err != nil {
			cause = fmt.Errorf("kube-apiserver ended: %w", cp.apiserver.err)
		}
	case err := <-cp.etcd.server.Err():
		cause = fmt.Errorf("etcd ended: %w", err)
	case err := <-cp.etcd.fatal:
		cause = fmt.Errorf("etcd ended: %w", err)
	case <-cp.stopping:
	}
	cp.err = errors.Join(cause, cp.abandon())
	close(cp.done)
}

// abandon ends what has been started, in the order of use, and frees the
// directory.
func (cp *ControlPlane) abandon() error {
	if cp.apiserver != nil {
		cp.apiserver.cancel()
		<-cp.apiserver.done
	}
	if cp.etcd != nil {
		cp.etcd.close()
	}
	return cp.state.close()
}

// RESTConfig returns a copy of the administrator's configuration, without a
// limit on the rate of requests.
func (cp *ControlPlane) RESTConfig() *rest.Config { return rest.CopyConfig(cp.config) }

// KubeconfigPath is the file with the administrator's credentials.
func (cp *ControlPlane) KubeconfigPath() string { return cp.state.path("kubeconfig") }

// LogPath is the file that etcd and kube-apiserver write their log to.
func (cp *ControlPlane) LogPath() string { return cp.state.path("controlplane.log") }

// Dir is the state directory as an absolute path without symbolic links. Other
// parts of the program may keep their own sub-directories in it.
func (cp *ControlPlane) Dir() string { return cp.state.dir }

// NodeTLS is the server side of a node's endpoint which this control plane's
// API server trusts and which trusts nobody else.
func (cp *ControlPlane) NodeTLS() (*tls.Config, error) { return cp.pki.nodeTLS() }

// Done is closed when the control plane has ended, for whatever reason.
func (cp *ControlPlane) Done() <-chan struct{} { return cp.done }

// Err says why the control plane ended; nil while it runs and after an orderly
// stop.
func (cp *ControlPlane) Err() error {
	select {
	case <-cp.done:
		return cp.err
	default:
		return nil
	}
}

// Stop ends the control plane and waits until its state is on disk and the
// directory is free, or until ctx ends.
func (cp *ControlPlane) Stop(ctx context.Context) error {
	cp.stopOnce.Do(func() { close(cp.stopping) })
	select {
	case <-cp.done:
		return cp.err
	case <-ctx.Done():
		return fmt.Errorf("stop control plane: %w", ctx.Err())
	}
}
