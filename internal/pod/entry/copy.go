package entry

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Copy copies an executable with its mode, making the directory on demand. The
// destination appears only when it is complete.
func Copy(src, dst string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return fmt.Errorf("copying the executable: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("copying the executable: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return fmt.Errorf("copying the executable: %w", err)
	}
	out, err := os.CreateTemp(filepath.Dir(dst), ".entrypoint-*")
	if err != nil {
		return fmt.Errorf("copying the executable: %w", err)
	}
	defer func() {
		_ = out.Close()
		if err != nil {
			_ = os.Remove(out.Name())
			err = fmt.Errorf("copying the executable: %w", err)
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	if err := out.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(out.Name(), dst)
}
