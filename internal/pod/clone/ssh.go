package clone

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"prow/api/artifacts"
	"prow/internal/git"
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
		if env != nil {
			cmd.Env = append(os.Environ(), env...)
		}
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

// addFingerprints makes ssh know the hosts.
func (c *Cloner) addFingerprints(context.Context) ([]artifacts.CloneCommand, error) {
	if len(c.opts.HostFingerprints) == 0 {
		return nil, nil
	}
	const file = "/tmp/known_hosts"
	command := artifacts.CloneCommand{Command: "golang: append the host fingerprints to " + file}
	fail := func(err error) ([]artifacts.CloneCommand, error) {
		command.Error = err.Error()
		return []artifacts.CloneCommand{command}, fmt.Errorf("adding the host fingerprints: %w", err)
	}
	if err := os.MkdirAll("/tmp", 0o755); err != nil {
		return fail(err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fail(err)
	}
	_, err = f.WriteString(strings.Join(c.opts.HostFingerprints, "\n") + "\n")
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fail(err)
	}
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		return fail(err)
	}
	c.addEnv("GIT_SSH_COMMAND=" + ssh + " -o UserKnownHostsFile=" + file)
	return []artifacts.CloneCommand{command}, nil
}

func (c *Cloner) addEnv(env ...string) {
	c.env = append(c.env, env...)
	c.runner = c.runner.WithEnv(env...)
}

// gitFor is the runner for one repository.
func (c *Cloner) gitFor(address string, login credentials) *git.Runner {
	if login == (credentials{}) {
		return c.runner
	}
	return c.runner.With(git.BasicAuth(address, login.user, login.password)...)
}
