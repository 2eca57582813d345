// Package storetest gives tests a store of each kind: an SQLite file, and a
// database of a real PostgreSQL server, which is started where the programs of
// one are installed.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"prow/internal/store"
)

// Each runs a test on a store of each kind. open opens it again, as the next or
// another process.
func Each(t *testing.T, test func(t *testing.T, open func() *store.Store)) {
	run := func(name string, dsn func(*testing.T) string) {
		t.Run(name, func(t *testing.T) {
			where := dsn(t)
			test(t, func() *store.Store {
				t.Helper()
				s, err := store.Open(t.Context(), where)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			})
		})
	}
	run("SQLite", func(t *testing.T) string { return filepath.Join(t.TempDir(), "store.db") })
	run("PostgreSQL", func(t *testing.T) string { return Postgres(t) })
}

// Postgres starts a server that ends with the test, and returns the URL of an
// empty database. Without the programs of PostgreSQL the test is skipped.
func Postgres(tb testing.TB) string {
	tb.Helper()
	bin := programs()
	if bin == "" {
		tb.Skip("SKIPPED: PostgreSQL is not installed (Debian: postgresql)")
	}
	dir, err := os.MkdirTemp("", "postgres-test")
	must(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	as := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		// The server refuses to run as root.
		nobody, err := user.Lookup("nobody")
		must(tb, err)
		uid, err := strconv.Atoi(nobody.Uid)
		must(tb, err)
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
		must(tb, os.Chown(dir, uid, uid))
	}
	data := filepath.Join(dir, "data")
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr, cmd.Env = dir, as, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + dir}
		return cmd
	}
	if out, err := command("initdb", "--no-sync", "--auth=trust", "--username=prow", "--encoding=UTF8", "--pgdata="+data).CombinedOutput(); err != nil {
		tb.Fatalf("initdb: %v\n%s", err, out)
	}
	port := freePort(tb)
	var log strings.Builder
	server := command("postgres", "-D", data, "-p", strconv.Itoa(port), "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=50")
	server.Stdout, server.Stderr = &log, &log
	must(tb, server.Start())
	ended := make(chan struct{})
	go func() { _ = server.Wait(); close(ended) }()
	tb.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // a fast shutdown
		<-ended
	})
	dsn := fmt.Sprintf("postgres://prow@127.0.0.1:%d/postgres?sslmode=disable", port)
	must(tb, reachable(tb.Context(), dsn, ended))
	return dsn
}

// programs is the directory of the server's programs, "" without one.
func programs() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well-formed
	if len(dirs) == 0 {
		return ""
	}
	return filepath.Dir(dirs[len(dirs)-1])
}

func freePort(tb testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	defer l.Close() //nolint:errcheck // it was only asked for its port
	return l.Addr().(*net.TCPAddr).Port
}

// reachable waits for the server to answer.
func reachable(ctx context.Context, dsn string, ended <-chan struct{}) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // nothing was written
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.Join(errors.New("PostgreSQL ended"), err)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
