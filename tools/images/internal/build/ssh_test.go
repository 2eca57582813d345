package build

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"prow/tools/images/internal/rootfs"
)

func TestTheImageOfClonerefsClonesOverSSHWithKeyAndKnownHost(t *testing.T) {
	r := unpack(t, "clonerefs")
	r.work(t)
	dir, _ := forge(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.dir, "work", "id")
	if err := errors.Join(os.WriteFile(file, pem.EncodeToMemory(key), 0o600), os.Chown(file, rootfs.User, rootfs.User)); err != nil {
		t.Fatal(err)
	}
	allowed, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	address, host := serveSSH(t, dir, allowed)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	line := "[127.0.0.1]:" + port + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host)))
	uri := "ssh://git@" + address + "/{{.Org}}/{{.Repo}}.git"
	if out, err := r.clone(t, nil, uri, "--ssh-key=/work/id", "--host-fingerprint="+line); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.expectClone(t)
}

// serveSSH serves git-upload-pack below a directory to the owner of a key.
func serveSSH(t *testing.T, dir string, allowed ssh.PublicKey) (string, ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(allowed.Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serveConnection(connection, config, dir)
		}
	}()
	return listener.Addr().String(), host.PublicKey()
}

func serveConnection(connection net.Conn, config *ssh.ServerConfig, dir string) {
	defer connection.Close()
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		for request := range requests {
			if request.Type != "exec" {
				_ = request.Reply(request.Type == "env", nil)
				continue
			}
			_ = request.Reply(true, nil)
			var command struct{ Line string }
			_ = ssh.Unmarshal(request.Payload, &command)
			repository, found := strings.CutPrefix(command.Line, "git-upload-pack ")
			status := uint32(1)
			if found {
				cmd := exec.Command("git", "-c", "safe.directory=*", "upload-pack", filepath.Join(dir, strings.Trim(repository, "'")))
				cmd.Stdin, cmd.Stdout, cmd.Stderr = channel, channel, channel.Stderr()
				if cmd.Run() == nil {
					status = 0
				}
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			_ = channel.Close()
		}
	}
}
