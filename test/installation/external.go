package installation

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Externals are the external plugins that can be started beside an installation.
var Externals = []string{"cherrypicker", "needs-rebase", "refresh"}

// External starts an external plugin, with the forge and the secrets of the
// installation, and waits until it listens. It ends with the installation's Close.
func (w *Installation) External(program string, flags ...string) error {
	secret := func(name string) string { return filepath.Join(w.Dir, "secrets", name) }
	dir := filepath.Join(w.Dir, program)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the program has its own
	forge := w.URL("forge")
	cmd := exec.Command(filepath.Join(w.Bin, "prow"), append([]string{
		program, "--dry-run=false", "--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", w.ports[program]), "--metrics-port=0", "--pprof-port=0", "--health-port=0",
		"--store=" + filepath.Join(dir, "deliveries.db"), "--hmac-secret-file=" + secret("hmac"), "--github-token-path=" + secret("bot-token"),
		"--github-host=" + fmt.Sprintf("localhost:%d", w.ports["forge"]), "--github-endpoint=" + forge + "/api/v3", "--github-graphql-endpoint=" + forge + "/api/graphql",
	}, flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.external = append(w.external, cmd)
	err = Until(program, func(context.Context) (bool, error) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", w.ports[program]))
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}
