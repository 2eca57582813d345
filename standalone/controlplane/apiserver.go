package controlplane

import (
	"context"
	"fmt"
	"net"
	"strconv"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// admissionOff are the admission steps that need a controller which does not
// exist here, or defaults that nothing on one machine uses.
const admissionOff = "ServiceAccount,DefaultStorageClass,StorageObjectInUseProtection,PersistentVolumeClaimResize," +
	"RuntimeClass,TaintNodesByCondition,DefaultIngressClass,PodSecurity,NodeRestriction,ResourceQuota," +
	"CertificateApproval,CertificateSigning,CertificateSubjectRestriction,ClusterTrustBundleAttest"

// apisOff are the APIs that nothing here acts on. An object of them would lie
// about without effect; leaving them out says so, and saves 60 MB of memory.
const apisOff = "apps/v1=false,batch/v1=false,autoscaling/v1=false,autoscaling/v2=false,policy/v1=false," +
	"storage.k8s.io/v1=false,resource.k8s.io/v1=false,node.k8s.io/v1=false,certificates.k8s.io/v1=false," +
	"flowcontrol.apiserver.k8s.io/v1=false"

// apiserverFlags are the settings of kube-apiserver, by the names of its flags.
func apiserverFlags(p *pki, etcdEndpoint string, port int, allAPIs bool) map[string]string {
	flags := map[string]string{
		"etcd-servers":                            etcdEndpoint,
		"bind-address":                            "127.0.0.1",
		"advertise-address":                       "127.0.0.1",
		"secure-port":                             strconv.Itoa(port),
		"endpoint-reconciler-type":                "none", // would refuse a loopback address
		"tls-cert-file":                           p.certFile(leafServer.name),
		"tls-private-key-file":                    p.keyFile(leafServer.name),
		"client-ca-file":                          p.certFile("ca"),
		"anonymous-auth":                          "false",
		"authorization-mode":                      "RBAC",
		"kubelet-client-certificate":              p.certFile(leafKubeletClient.name),
		"kubelet-client-key":                      p.keyFile(leafKubeletClient.name),
		"kubelet-certificate-authority":           p.certFile("ca"),
		"kubelet-preferred-address-types":         "InternalIP",
		"service-account-issuer":                  "https://kubernetes.default.svc",
		"service-account-key-file":                p.keyFile("service-accounts"),
		"service-account-signing-key-file":        p.keyFile("service-accounts"),
		"service-cluster-ip-range":                "10.96.0.0/16",
		"disable-admission-plugins":               admissionOff,
		"allow-privileged":                        "true", // the node decides what it runs
		"enable-priority-and-fairness":            "false",
		"profiling":                               "false",
		"shutdown-delay-duration":                 "0s",
		"etcd-compaction-interval":                "5m",
		"etcd-db-metric-poll-interval":            "0s",
		"service-account-extend-token-expiration": "false",
	}
	if !allAPIs {
		flags["runtime-config"] = apisOff
	}
	return flags
}

// apiserver is kube-apiserver running in this process.
type apiserver struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid once done is closed
}

// startAPIServer configures kube-apiserver as its own main would and runs it on
// the listener. It returns before the server is ready.
func startAPIServer(ctx context.Context, p *pki, etcdEndpoint string, l net.Listener, allAPIs bool) (*apiserver, error) {
	opts := options.NewServerRunOptions()
	flags := opts.Flags()
	for name, value := range apiserverFlags(p, etcdEndpoint, l.Addr().(*net.TCPAddr).Port, allAPIs) {
		set := false
		for _, fs := range flags.FlagSets {
			if fs.Lookup(name) == nil {
				continue
			}
			if err := fs.Set(name, value); err != nil {
				return nil, fmt.Errorf("configure kube-apiserver: flag %s: %w", name, err)
			}
			set = true
		}
		if !set {
			return nil, fmt.Errorf("configure kube-apiserver: it has no flag %s", name)
		}
	}
	opts.SecureServing.Listener = l
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, fmt.Errorf("configure kube-apiserver: %w", err)
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := opts.Complete(ctx)
	if err != nil {
		return nil, fmt.Errorf("configure kube-apiserver: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("configure kube-apiserver: %w", utilerrors.NewAggregate(errs))
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &apiserver{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.err = app.Run(ctx, completed)
	}()
	return a, nil
}
