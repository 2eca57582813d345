package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// refMove is a change of a ref that somebody asks for; "" stands for absence.
type refMove struct{ Ref, From, To string }

// refusal is what is known about a move before the new objects are here.
type refusal struct {
	// Message refuses at once.
	Message string
	// NoForce and NoMerges can be judged only when the objects are here.
	NoForce, NoMerges bool
}

const (
	refuseForce  = "Cannot force-push to this branch"
	refuseMerges = "This branch must not contain merge commits."
)

// judgeMove applies the rules of a branch to a direct move of it, by push or API.
func (r *reader) judgeMove(rp *repo, actor *account, m refMove) (refusal, error) {
	var out refusal
	branch, ok := strings.CutPrefix(m.Ref, "refs/heads/")
	if !ok {
		return out, nil
	}
	all, err := r.rulesFor(rp, branch)
	if err != nil || len(all) == 0 {
		return out, err
	}
	var seen *evidence
	for _, s := range all {
		free, err := r.bypassed(rp, s, actor, false)
		if err != nil {
			return out, err
		}
		if s.Classic && (s.NoDelete || s.NoForce) {
			// Deletion and force pushes are off for administrators as well.
			if s.NoDelete && m.To == "" {
				return refusal{Message: "Cannot delete this branch"}, nil
			}
			out.NoForce = out.NoForce || s.NoForce
		}
		if free {
			continue
		}
		switch {
		case m.To == "" && s.NoDelete:
			return refusal{Message: "Cannot delete this branch"}, nil
		case m.To == "":
			continue
		case m.From == "" && s.NoCreate:
			return refusal{Message: "Cannot create ref due to creations being restricted."}, nil
		case m.From != "" && s.NoUpdate:
			return refusal{Message: "Cannot update this protected ref."}, nil
		}
		if s.Push != nil {
			in, err := r.among(rp, s.Push, actor)
			if err != nil {
				return out, err
			}
			if !in {
				return refusal{Message: "You're not authorized to push to this branch. Visit the protected branches documentation for more information."}, nil
			}
		}
		if m.From == "" && s.Classic {
			continue // a branch that comes into being had no one to protect it from
		}
		if s.Reviews != nil {
			in := false
			if s.Reviews.Bypass != nil {
				if in, err = r.among(rp, s.Reviews.Bypass, actor); err != nil {
					return out, err
				}
			}
			if !in {
				return refusal{Message: "Changes must be made through a pull request."}, nil
			}
		}
		if len(s.Checks) > 0 {
			if seen == nil {
				if seen, err = r.evidenceFor(rp, m.To); err != nil {
					return out, err
				}
			}
			if why := s.unmetChecks(seen); why != "" {
				return refusal{Message: why}, nil
			}
		}
		out.NoForce = out.NoForce || s.NoForce
		out.NoMerges = out.NoMerges || s.Linear
	}
	return out, nil
}

// mayMove refuses an API client's move of a protected branch. The objects must be here.
func (f *Forge) mayMove(ctx context.Context, rp *repo, actor *account, m refMove) error {
	no, err := f.read(ctx).judgeMove(rp, actor, m)
	if err != nil {
		return err
	}
	b := f.bare(rp.ID)
	if no.Message == "" && no.NoForce && m.From != "" && m.To != "" {
		ff, err := b.isAncestor(ctx, m.From, m.To)
		if err != nil {
			return err
		}
		if !ff {
			no.Message = refuseForce
		}
	}
	if no.Message == "" && no.NoMerges && m.From != "" && m.To != "" {
		merges, err := b.hasMerges(ctx, m.From, m.To)
		if err != nil {
			return err
		}
		if merges {
			no.Message = refuseMerges
		}
	}
	if no.Message != "" {
		return unprocessable(no.Message)
	}
	return nil
}

// hasMerges says whether the commits that a move brings contain a merge.
func (b bare) hasMerges(ctx context.Context, from, to string) (bool, error) {
	out, err := b.run(ctx, "rev-list", "--max-count=1", "--merges", to, "^"+from, "--")
	return len(bytes.TrimSpace(out)) > 0, err
}

// maxCommands bounds the list of refs that one push may name.
const maxCommands = 1 << 20

var errCommands = errors.New("malformed list of commands")

// readCommands reads the list of refs at the beginning of a push. It returns
// what it consumed as well, which must reach git.
func readCommands(r *bufio.Reader) (moves []refMove, consumed []byte, err error) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errCommands, err)
		}
		consumed = append(consumed, head[:]...)
		n, err := strconv.ParseUint(string(head[:]), 16, 16)
		switch {
		case err != nil || n > 0 && n < 4:
			return nil, nil, errCommands
		case n == 0:
			return moves, consumed, nil
		case len(consumed)+int(n) > maxCommands:
			return nil, nil, fmt.Errorf("%w: too many refs", errCommands)
		}
		line := make([]byte, n-4)
		if _, err := io.ReadFull(r, line); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errCommands, err)
		}
		consumed = append(consumed, line...)
		text, _, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "\x00")
		f := strings.SplitN(text, " ", 3)
		if len(f) != 3 || !validSHA(f[0]) || !validSHA(f[1]) {
			continue // "shallow" and "push-cert" lines are for git
		}
		m := refMove{Ref: f[2], From: f[0], To: f[1]}
		if m.From == zeroSHA {
			m.From = ""
		}
		if m.To == zeroSHA {
			m.To = ""
		}
		moves = append(moves, m)
	}
}

// updateHook is run by git for each ref of a push, when the new objects can be
// read. The forge has written down what it decided about each ref: a line is
// "ref TAB kind TAB message".
const updateHook = `#!/bin/sh
test -n "$FORGE_RULES" || exit 0
tab=$(printf '\t')
while IFS="$tab" read -r ref kind message; do
	test "$ref" = "$1" || continue
	case "$kind" in
	no) ;;
	force)
		case "$2$3" in *0000000000000000000000000000000000000000*) continue ;; esac
		git merge-base --is-ancestor "$2" "$3" && continue ;;
	merges)
		case "$2$3" in *0000000000000000000000000000000000000000*) continue ;; esac
		test -z "$(git rev-list --max-count=1 --merges "$3" "^$2")" && continue ;;
	esac
	echo "error: GH006: Protected branch update failed for $1." >&2
	echo "error: $message" >&2
	exit 1
done <"$FORGE_RULES"
exit 0
`

// hooksDir is where git finds the hook above, for pushes only.
func (f *Forge) hooksDir() string { return filepath.Join(f.opts.Dir, "hooks") }

func (f *Forge) writeHooks() error {
	if err := os.MkdirAll(f.hooksDir(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(f.hooksDir(), "update"), []byte(updateHook), 0o700) //nolint:gosec // git must be able to execute it
}

// guard reads the commands of a push and prepares git to refuse those that the
// rules of their branches forbid. remove deletes what it wrote.
func (f *Forge) guard(ctx context.Context, rp *repo, actor *account, body io.Reader) (rest io.Reader, args, env []string, remove func(), err error) {
	remove = func() {}
	buffered := bufio.NewReader(body)
	moves, consumed, err := readCommands(buffered)
	if err != nil {
		return nil, nil, nil, remove, err
	}
	rest = io.MultiReader(bytes.NewReader(consumed), buffered)
	var lines strings.Builder
	for _, m := range moves {
		if strings.ContainsAny(m.Ref, "\t\n") {
			return nil, nil, nil, remove, errCommands
		}
		no, err := f.read(ctx).judgeMove(rp, actor, m)
		if err != nil {
			return nil, nil, nil, remove, err
		}
		if no.Message != "" {
			fmt.Fprintf(&lines, "%s\tno\t%s\n", m.Ref, no.Message)
			continue
		}
		if no.NoForce {
			fmt.Fprintf(&lines, "%s\tforce\t%s\n", m.Ref, refuseForce)
		}
		if no.NoMerges {
			fmt.Fprintf(&lines, "%s\tmerges\t%s\n", m.Ref, refuseMerges)
		}
	}
	if lines.Len() == 0 {
		return rest, nil, nil, remove, nil
	}
	file, err := os.CreateTemp(f.hooksDir(), "rules-")
	if err != nil {
		return nil, nil, nil, remove, err
	}
	remove = func() { _ = os.Remove(file.Name()) } // at worst a small file stays
	_, err = file.WriteString(lines.String())
	if err = errors.Join(err, file.Close()); err != nil {
		remove()
		return nil, nil, nil, func() {}, err
	}
	return rest, []string{"-c", "core.hooksPath=" + f.hooksDir()}, []string{"FORGE_RULES=" + file.Name()}, remove, nil
}
