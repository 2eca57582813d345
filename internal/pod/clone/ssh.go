package clone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"prow/api/artifacts"
)

// sshTimeout bounds the programs that only prepare.
const sshTimeout = time.Minute

// addSSHKeys starts an agent and gives it the keys.
func (c *Cloner) addSSHKeys(ctx context.Context) ([]artifacts.CloneCommand, error) {
	if len(c.opts.KeyFiles) == 0 {
		return nil, nil
	}
	var commands []artifacts.CloneCommand
	run := func(env []string, name string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, sshTimeout)
		defer cancel()
		begin := c.now()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = append(slices.Clone(c.environ), env...)
		out, err := cmd.CombinedOutput()
		command := artifacts.CloneCommand{Command: strings.TrimSpace(name + " " + strings.Join(args, " ")), Output: string(out), Duration: c.now().Sub(begin)}
		if err != nil {
			err = fmt.Errorf("%s: %w", command.Command, err)
			command.Error = err.Error()
		}
		commands = append(commands, command)
		return string(out), err
	}
	out, err := run(nil, "ssh-agent")
	if err != nil {
		return commands, err
	}
	fields := strings.Split(out, ";")
	if len(fields) < 3 {
		err := fmt.Errorf("ssh-agent said %q, which does not tell where it is", out)
		commands[0].Error = err.Error()
		return commands, err
	}
	agent := []string{strings.TrimSpace(fields[0]), strings.TrimSpace(fields[2])}
	c.stop = append(c.stop, func() {
		kill := exec.CommandContext(context.WithoutCancel(ctx), "ssh-agent", "-k")
		kill.Env = append(slices.Clone(c.environ), agent...)
		if err := kill.Run(); err != nil {
			c.logger.Warn("The ssh-agent cannot be ended.", "error", err.Error())
		}
	})
	for _, root := range c.opts.KeyFiles {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if strings.HasPrefix(entry.Name(), "..") {
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if entry.IsDir() {
				return nil
			}
			_, err = run(agent, "ssh-add", path)
			return err
		})
		if err != nil {
			return commands, fmt.Errorf("adding the SSH keys of %s: %w", root, err)
		}
	}
	c.addEnv(agent...)
	return commands, nil
}

// knownHosts are the files by which ssh knows hosts.
type knownHosts struct {
	// file is made here.
	file string
	// pinned is of the image, and may be absent. Naming another file to ssh puts it
	// out of force, so its lines are repeated there.
	pinned string
}

// add appends lines to the file.
func (k knownHosts) add(fingerprints []string) error {
	pinned, err := os.ReadFile(k.pinned)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o755); err != nil {
		return err
	}
	before, err := os.ReadFile(k.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(k.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	var lines strings.Builder
	if len(before) > 0 && !bytes.HasSuffix(before, []byte("\n")) {
		lines.WriteString("\n")
	}
	for _, line := range append([]string{string(pinned)}, fingerprints...) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			lines.WriteString(line + "\n")
		}
	}
	_, err = f.WriteString(lines.String())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// addFingerprints makes ssh know the hosts.
func (c *Cloner) addFingerprints(context.Context) ([]artifacts.CloneCommand, error) {
	if len(c.opts.HostFingerprints) == 0 {
		return nil, nil
	}
	command := artifacts.CloneCommand{Command: "golang: append the host fingerprints to " + c.knownHosts.file}
	ssh, err := exec.LookPath("ssh")
	if err == nil {
		err = c.knownHosts.add(c.opts.HostFingerprints)
	}
	if err != nil {
		command.Error = err.Error()
		return []artifacts.CloneCommand{command}, fmt.Errorf("adding the host fingerprints: %w", err)
	}
	c.addEnv("GIT_SSH_COMMAND=" + ssh + " -o UserKnownHostsFile=" + c.knownHosts.file)
	return []artifacts.CloneCommand{command}, nil
}

func (c *Cloner) addEnv(env ...string) {
	c.env = append(c.env, env...)
	c.runner = c.runner.WithEnv(env...)
}
