package configupdater

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"
)

// versionKey is the key with the commit of the last update.
const versionKey = "VERSION"

// maxTries bounds how often an update is made again that others get ahead of. Each
// time somebody has got on, so there is no need to wait.
const maxTries = 20

// value is what a key gets; nil removes the key.
type value struct {
	key     string
	content []byte
}

// encode makes the value of a file.
func encode(u update, content []byte) (value, error) {
	if !u.gzip {
		return value{u.key, content}, nil
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	if err := errors.Join(err, w.Close()); err != nil {
		return value{}, fmt.Errorf("compressing %s: %w", u.file, err)
	}
	return value{u.key, b.Bytes()}, nil
}

// validKey tells why something cannot be a key; nil if it can.
func validKey(key string) error {
	if problems := validation.IsConfigMapKey(key); len(problems) > 0 {
		return fmt.Errorf("%q cannot be a key of a ConfigMap: %s", key, problems[0])
	}
	return nil
}

// apply makes the ConfigMap have the values and leaves other keys alone.
func apply(cm *corev1.ConfigMap, version string, values []value) {
	if len(cm.Labels) == 0 {
		cm.Labels = map[string]string{"app.kubernetes.io/name": "prow", "app.kubernetes.io/component": "updateconfig-plugin"}
	}
	set := func(v value) {
		if cm.Data == nil {
			cm.Data = map[string]string{}
		}
		if cm.BinaryData == nil {
			cm.BinaryData = map[string][]byte{}
		}
		delete(cm.Data, v.key)
		delete(cm.BinaryData, v.key)
		switch {
		case v.content == nil:
		case utf8.Valid(v.content):
			cm.Data[v.key] = string(v.content)
		default:
			cm.BinaryData[v.key] = v.content
		}
	}
	set(value{versionKey, []byte(version)})
	for _, v := range values {
		set(v)
	}
}

// size is how many bytes the values have.
func size(cm *corev1.ConfigMap) int {
	n := 0
	for v := range maps.Values(cm.Data) {
		n += len(v)
	}
	for v := range maps.Values(cm.BinaryData) {
		n += len(v)
	}
	return n
}

// write creates or updates a ConfigMap; change is asked again whenever somebody else
// was faster, and may refuse. What has its values already is not written.
func write(ctx context.Context, c client.Client, t target, change func(*corev1.ConfigMap) error) (*corev1.ConfigMap, error) {
	for try := 1; ; try++ {
		var cm corev1.ConfigMap
		err := c.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: t.name}, &cm)
		absent := apierrors.IsNotFound(err)
		if err != nil && !absent {
			return nil, fmt.Errorf("reading it: %w", err)
		}
		old := cm.DeepCopy()
		if absent {
			cm.ObjectMeta = metav1.ObjectMeta{Namespace: t.namespace, Name: t.name}
		}
		if err := change(&cm); err != nil {
			return nil, err
		}
		switch {
		case absent:
			err = c.Create(ctx, &cm)
		case equality.Semantic.DeepEqual(old, &cm):
			return &cm, nil
		default:
			err = c.Update(ctx, &cm)
		}
		switch {
		case err == nil:
			return &cm, nil
		case try == maxTries || !(apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || !absent && apierrors.IsNotFound(err)):
			return nil, fmt.Errorf("writing it: %w", err)
		}
	}
}
