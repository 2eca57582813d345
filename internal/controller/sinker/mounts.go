package sinker

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// measureInterval is the time between two measurements of the job files.
const measureInterval = 5 * time.Minute

// watchMounts publishes the sizes of the ConfigMaps mounted below path until
// ctx ends: a ConfigMap holds 1 MiB, and whoever adds jobs wants to know early.
func (s *Sinker) watchMounts(ctx context.Context, path string) error {
	ticker := time.NewTicker(measureInterval)
	defer ticker.Stop()
	for {
		sizes, err := mountSizes(path)
		if err != nil {
			s.Log.ErrorContext(ctx, "the job files were not measured", "error", err)
		}
		s.Metrics.configMapSize.Reset()
		for name, size := range sizes {
			s.Metrics.configMapSize.WithLabelValues(name).Set(float64(size))
		}
		for _, name := range notMounted(path, sizes) {
			s.Log.ErrorContext(ctx, "a directory of job files is not mounted from a ConfigMap and was not measured", "dir", name)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// mountSizes are the sizes in bytes of ConfigMaps by the names of their
// directories: of path itself if it is the mount of one, else of its direct
// sub-directories that are.
func mountSizes(path string) (map[string]int64, error) {
	if isMount(path) {
		size, err := dirSize(path)
		return map[string]int64{filepath.Base(path): size}, err
	}
	sizes := map[string]int64{}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("job files: %w", err)
	}
	for _, e := range entries {
		if dir := filepath.Join(path, e.Name()); e.IsDir() && isMount(dir) {
			if sizes[e.Name()], err = dirSize(dir); err != nil {
				return sizes, err
			}
		}
	}
	return sizes, nil
}

// notMounted lists the sub-directories of path that have no size although it is
// no mount itself.
func notMounted(path string, sizes map[string]int64) (out []string) {
	if isMount(path) {
		return nil
	}
	entries, _ := os.ReadDir(path) // that it cannot be read has been told
	for _, e := range entries {
		if _, measured := sizes[e.Name()]; e.IsDir() && !measured {
			out = append(out, e.Name())
		}
	}
	return out
}

func isMount(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "..data"))
	return err == nil
}

// dirSize is the size of the regular files below dir. Links are skipped: in a
// mount every file stands once and is linked to twice.
func dirSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		return size, fmt.Errorf("size of %s: %w", dir, err)
	}
	return size, nil
}
