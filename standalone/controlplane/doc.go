// Package controlplane runs a Kubernetes control plane inside this process:
// etcd and kube-apiserver, with the ProwJob resource installed.
//
// Everything it knows lives in one state directory: the etcd data, the keys
// and certificates made at first start, the kubeconfig of the administrator
// and the port it was reached at. A second start on the same directory goes on
// where the first one ended.
//
//	DIR/format            version of this layout
//	DIR/lock              held while a process uses the directory
//	DIR/port              port of the API server, kept across restarts
//	DIR/pki/              CA, certificates and keys
//	DIR/etcd/             etcd's data
//	DIR/kubeconfig        credentials of the administrator
//	DIR/controlplane.log  what etcd and kube-apiserver have to say
//
// Only loopback is listened on, and only clients with a certificate of the
// directory's own CA are served. etcd listens on a socket inside the directory,
// which only the owner can enter.
//
// There is no controller manager and no scheduler: namespaces and pods are
// what jobs need, and the node of package node binds and runs the pods.
package controlplane
