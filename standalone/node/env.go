package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"

	"prow/standalone/node/executor"
)

// environment is a container's environment in the order of its definition.
type environment struct {
	list   []string
	values map[string]string
}

func (e *environment) set(name, value string) {
	e.list = append(e.list, name+"="+value)
	e.values[name] = value
}

// expand replaces $(NAME) by the value of a variable; $$ stands for $, and a
// name that is not defined stays as it is.
func (e *environment) expand(s string) string {
	return expansion.Expand(s, expansion.MappingFuncFor(e.values))
}

// lookup expands a path that must not depend on undefined variables.
func (e *environment) lookup(s string) (string, error) {
	var missing []string
	defined := expansion.MappingFuncFor(e.values)
	out := expansion.Expand(s, func(name string) string {
		if _, ok := e.values[name]; !ok {
			missing = append(missing, name)
		}
		return defined(name)
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("missing value for %q", missing)
	}
	return out, nil
}

// environment resolves the container's variables. What is missing may still be
// created, so such failures are tried again, as a kubelet does.
func (c *container) environment(ctx context.Context) (*environment, error) {
	src := &envSource{ctx: ctx, p: c.r.p, pod: c.r.pod}
	env := &environment{values: map[string]string{}}
	for _, from := range c.spec.EnvFrom {
		data, err := src.all(from)
		if err != nil {
			return nil, configError(err)
		}
		for _, key := range sortedKeys(data) {
			env.set(from.Prefix+key, string(data[key]))
		}
	}
	for _, v := range c.spec.Env {
		value := env.expand(v.Value)
		if v.ValueFrom != nil {
			var ok bool
			var err error
			value, ok, err = src.value(v.ValueFrom, c.spec)
			if err != nil {
				return nil, configError(fmt.Errorf("variable %s: %w", v.Name, err))
			}
			if !ok {
				continue
			}
		}
		env.set(v.Name, value)
	}
	return env, nil
}

func configError(err error) error {
	return &executor.StartError{Reason: executor.ReasonConfig, Message: err.Error(), Retry: true}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// envSource reads what variables and volumes refer to.
type envSource struct {
	ctx context.Context
	p   *provider
	pod *corev1.Pod
}

func (s *envSource) all(from corev1.EnvFromSource) (map[string][]byte, error) {
	switch {
	case from.SecretRef != nil:
		return s.secret(from.SecretRef.Name, from.SecretRef.Optional)
	case from.ConfigMapRef != nil:
		return s.configMap(from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
	}
	return nil, nil
}

// value resolves one reference; not ok means an optional one that is missing.
func (s *envSource) value(from *corev1.EnvVarSource, c *corev1.Container) (value string, ok bool, err error) {
	key := func(data map[string][]byte, err error, kind, name, key string, optional *bool) (string, bool, error) {
		if err != nil {
			return "", false, err
		}
		v, found := data[key]
		if !found && !isTrue(optional) {
			return "", false, fmt.Errorf("couldn't find key %s in %s %s/%s", key, kind, s.pod.Namespace, name)
		}
		return string(v), found, nil
	}
	switch {
	case from.FieldRef != nil:
		v, err := s.field(from.FieldRef.FieldPath)
		return v, true, err
	case from.ResourceFieldRef != nil:
		v, err := s.resource(from.ResourceFieldRef, c)
		return v, true, err
	case from.SecretKeyRef != nil:
		r := from.SecretKeyRef
		data, err := s.secret(r.Name, r.Optional)
		return key(data, err, "Secret", r.Name, r.Key, r.Optional)
	case from.ConfigMapKeyRef != nil:
		r := from.ConfigMapKeyRef
		data, err := s.configMap(r.Name, r.Optional)
		return key(data, err, "ConfigMap", r.Name, r.Key, r.Optional)
	}
	return "", false, fmt.Errorf("this node does not know the kind of source")
}

func isTrue(b *bool) bool { return b != nil && *b }

func (s *envSource) secret(name string, optional *bool) (map[string][]byte, error) {
	secret, err := s.p.client.CoreV1().Secrets(s.pod.Namespace).Get(s.ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if isTrue(optional) {
			return nil, nil
		}
		return nil, fmt.Errorf("secret %q not found", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read secret %q: %w", name, err)
	}
	return secret.Data, nil
}

func (s *envSource) configMap(name string, optional *bool) (map[string][]byte, error) {
	cm, err := s.p.client.CoreV1().ConfigMaps(s.pod.Namespace).Get(s.ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if isTrue(optional) {
			return nil, nil
		}
		return nil, fmt.Errorf("configmap %q not found", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read configmap %q: %w", name, err)
	}
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for k, v := range cm.Data {
		data[k] = []byte(v)
	}
	for k, v := range cm.BinaryData {
		data[k] = v
	}
	return data, nil
}

// field resolves a downward API path.
func (s *envSource) field(path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return s.p.opts.Name, nil
	case "spec.serviceAccountName":
		return s.pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.podIP", "status.hostIPs", "status.podIPs":
		return address, nil
	}
	return fieldpath.ExtractFieldPathAsString(s.pod, path)
}

// resource resolves a request or limit; without a limit it is the machine's.
func (s *envSource) resource(ref *corev1.ResourceFieldSelector, c *corev1.Container) (string, error) {
	name := ref.ContainerName
	if name == "" {
		name = c.Name
	}
	machine := newMachine(s.p.opts.Name, 0)
	pod := s.pod.DeepCopy() // the helper fills defaults in
	return resource.ExtractResourceValueByContainerNameAndNodeAllocatable(ref, pod, strings.TrimSpace(name), machine.Status.Allocatable)
}
