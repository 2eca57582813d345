package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// loadWriters is how many writes are under way: etcd puts many on disk at once.
	loadWriters = 64
	loadLimit   = 10 * time.Minute
)

// Load stores many custom objects, several times faster than the API server makes
// them: that checks each ProwJob against its schema, with all of a pod in it, and
// works out who manages which field (BenchmarkFill). Load writes them into etcd as
// the API server would have. It sees them come like those of another API server,
// and serves and caches them like all others.
//
// The first one is made through the API server, which shows that it accepts such
// objects; the others get its managed fields. Names must be new. Load returns when
// the API server has them all.
func (c *Cluster) Load(t testing.TB, resource schema.GroupVersionResource, objects iter.Seq[client.Object]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), loadLimit)
	defer cancel()
	if err := c.load(ctx, resource, objects); err != nil {
		t.Fatalf("load %s: %v", resource.Resource, err)
	}
}

func (c *Cluster) load(ctx context.Context, resource schema.GroupVersionResource, objects iter.Seq[client.Object]) error {
	api, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	etcd, err := grpc.NewClient("unix:"+filepath.Join(c.Dir, "sockets", "etcd"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to etcd: %w", err)
	}
	defer etcd.Close() //nolint:errcheck // what it was for is done
	var template *unstructured.Unstructured
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(loadWriters)
	for o := range objects {
		if template == nil {
			if template, err = create(ctx, api.Resource(resource), o); err != nil {
				return err
			}
			continue
		}
		o.GetObjectKind().SetGroupVersionKind(template.GroupVersionKind())
		o.SetUID(types.UID(uuid.NewString()))
		o.SetGeneration(1)
		o.SetCreationTimestamp(metav1.Now())
		o.SetManagedFields(template.GetManagedFields())
		group.Go(func() error {
			value, err := json.Marshal(o)
			if err != nil {
				return fmt.Errorf("write %s as JSON: %w", o.GetName(), err)
			}
			// One write each: the API server takes objects of one revision for one.
			request := putRequest("/registry/"+resource.Group+"/"+resource.Resource+"/"+o.GetNamespace()+"/"+o.GetName(), value)
			var answer []byte
			if err := etcd.Invoke(groupCtx, "/etcdserverpb.KV/Put", &request, &answer, grpc.ForceCodecV2(rawCodec{})); err != nil {
				return fmt.Errorf("write %s to etcd: %w", o.GetName(), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil || template == nil {
		return err
	}
	// A list without a version is no older than etcd; the API server gives up after
	// a minute if it is not that far.
	for {
		_, err = api.Resource(resource).Namespace(template.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: "kubetest=none"})
		if err == nil || ctx.Err() != nil || !apierrors.IsTimeout(err) && !apierrors.IsServerTimeout(err) && !apierrors.IsTooManyRequests(err) {
			return err
		}
	}
}

func create(ctx context.Context, api dynamic.NamespaceableResourceInterface, o client.Object) (*unstructured.Unstructured, error) {
	encoded, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("write %s as JSON: %w", o.GetName(), err)
	}
	raw := &unstructured.Unstructured{}
	if err := json.Unmarshal(encoded, &raw.Object); err != nil {
		return nil, fmt.Errorf("read %s: %w", o.GetName(), err)
	}
	made, err := api.Namespace(o.GetNamespace()).Create(ctx, raw, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("make the first one: %w", err)
	}
	return made, nil
}

// putRequest is etcd's PutRequest: key (1) and value (2).
func putRequest(key string, value []byte) []byte {
	out := make([]byte, 0, len(key)+len(value)+16)
	out = protowire.AppendTag(out, 1, protowire.BytesType)
	out = protowire.AppendString(out, key)
	out = protowire.AppendTag(out, 2, protowire.BytesType)
	return protowire.AppendBytes(out, value)
}

// rawCodec sends messages that are encoded already; so this package needs no
// client of etcd for its one request.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
