package entry

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// marker is the file that says how the process ended. Its room is reserved
// before the process starts, which may fill the disk: without a marker sidecar
// would wait for ever.
type marker struct {
	file string
	temp *os.File
	dir  string
}

func newMarker(file, name string) (*marker, error) {
	dir, err := os.MkdirTemp(filepath.Dir(file), name)
	if err != nil {
		return nil, err
	}
	m := &marker{file: file, dir: dir}
	if m.temp, err = os.Create(filepath.Join(dir, "marker")); err != nil {
		m.remove()
		return nil, err
	}
	if _, err := m.temp.WriteString("                "); err != nil {
		m.remove()
		return nil, err
	}
	return m, nil
}

// write makes the marker appear as a whole, with the code and no line break.
func (m *marker) write(code int) error {
	text := strconv.Itoa(code)
	if _, err := m.temp.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("writing the code: %w", err)
	}
	if err := m.temp.Truncate(int64(len(text))); err != nil {
		return fmt.Errorf("cutting the file: %w", err)
	}
	if err := m.temp.Sync(); err != nil {
		return fmt.Errorf("flushing: %w", err)
	}
	// Whoever runs sidecar must be able to read it.
	if err := m.temp.Chmod(0o777); err != nil {
		return fmt.Errorf("setting the mode: %w", err)
	}
	return os.Rename(m.temp.Name(), m.file)
}

func (m *marker) remove() {
	if m.temp != nil {
		_ = m.temp.Close()
	}
	_ = os.RemoveAll(m.dir)
}
