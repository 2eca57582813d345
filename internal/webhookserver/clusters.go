package webhookserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"prow/internal/config"
	"prow/internal/storage"
)

// maxStatusFile bounds the file with the states of the build clusters.
const maxStatusFile = 1 << 20

// clusterStates knows the build clusters from the file that the controller
// manager writes. Until it has been read once nothing is known, and nothing is
// refused for want of a cluster.
type clusterStates struct {
	config  func() *config.Config
	storage *storage.Opener
	states  atomic.Pointer[map[string]string]
}

func (c *clusterStates) get() map[string]string {
	if states := c.states.Load(); states != nil {
		return *states
	}
	return nil
}

// read reads the file. What fails leaves the last states in place.
func (c *clusterStates) read(ctx context.Context) error {
	path := c.config().Plank.BuildClusterStatusFile
	if path == "" {
		c.states.Store(nil)
		return nil
	}
	i := strings.LastIndex(path, "/")
	if i < 0 || i == len(path)-1 {
		return fmt.Errorf("plank.build_cluster_status_file: found %q, expected a bucket and a path", path)
	}
	bucket, err := c.storage.Open(ctx, path[:max(i, 1)])
	if err != nil {
		return fmt.Errorf("plank.build_cluster_status_file: %w", err)
	}
	raw, err := storage.ReadAll(ctx, bucket, path[i+1:], maxStatusFile)
	if err := errors.Join(err, bucket.Close()); err != nil {
		return fmt.Errorf("read the states of the build clusters: %w", err)
	}
	states := map[string]string{}
	if err := json.Unmarshal(raw, &states); err != nil {
		return fmt.Errorf("decode the states of the build clusters in %s: %w", path, err)
	}
	c.states.Store(&states)
	return nil
}
