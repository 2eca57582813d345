package config

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"unsafe"

	corev1 "k8s.io/api/core/v1"
)

// budget bounds what resolving the jobs of a stranger may cost. A nil budget,
// that of the files of the installation, is endless.
type budget struct {
	// bytes is the memory that presets and defaults may still take.
	bytes int
	// instructions is how large the expressions together may still become.
	instructions int
}

// What resolving the jobs of one repository may cost. Expressions count once,
// however many jobs share them.
const (
	inRepoResolveBytes = 16 << 20
	inRepoInstructions = 100_000
	// maxInRepoExpr is the length of one expression, in bytes.
	maxInRepoExpr = 16 << 10
	// maxInRepoProblems ends the report of one repository.
	maxInRepoProblems = 100
	// maxInRepoNamesakes is how many jobs of one type may share a name: every
	// pair of them is compared.
	maxInRepoNamesakes = 50
	// maxInRepoBranches is how many branches a job may list.
	maxInRepoBranches = 100
	// decorationBytes is about what a copy of the decoration defaults takes.
	decorationBytes = 4 << 10
)

var errOverBudget = errors.New("the jobs of the repository need too much memory together")

func newInRepoBudget() *budget {
	return &budget{bytes: inRepoResolveBytes, instructions: inRepoInstructions}
}

// spend tells whether there is enough left.
func (b *budget) spend(bytes int) bool {
	if b == nil {
		return true
	}
	b.bytes -= bytes
	return b.bytes >= 0
}

// spendExpr tells why an expression must not be compiled.
func (b *budget) spendExpr(expr string) error {
	if b == nil {
		return nil
	}
	if len(expr) > maxInRepoExpr {
		return fmt.Errorf("the expression has %d bytes, expected at most %d", len(expr), maxInRepoExpr)
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return notExpr(expr, err)
	}
	if b.instructions -= instructionsOf(parsed); b.instructions < 0 {
		return fmt.Errorf("the expressions of the repository need more than %d instructions together", inRepoInstructions)
	}
	return nil
}

// instructionsOf estimates the size of the program of an expression; repeated
// parts are there once for each time.
func instructionsOf(re *syntax.Regexp) int {
	const most = inRepoInstructions + 1 // more need not be told apart
	n := 1 + len(re.Rune)/2
	for _, sub := range re.Sub {
		n = min(most, n+instructionsOf(sub))
	}
	if re.Op == syntax.OpRepeat {
		n = min(most, n*max(1, re.Min, re.Max))
	}
	return n
}

// presetBytes is about what a preset, and the lists it is added to, take in a pod.
func presetBytes(p *Preset, spec *corev1.PodSpec) int {
	n := (len(p.Volumes)+len(spec.Volumes))*int(unsafe.Sizeof(corev1.Volume{})) +
		(len(p.Tolerations)+len(spec.Tolerations))*int(unsafe.Sizeof(corev1.Toleration{}))
	for i := range spec.Containers {
		c := &spec.Containers[i]
		n += (len(p.Env)+len(c.Env))*int(unsafe.Sizeof(corev1.EnvVar{})) +
			(len(p.VolumeMounts)+len(c.VolumeMounts))*int(unsafe.Sizeof(corev1.VolumeMount{})) +
			int(unsafe.Sizeof(corev1.Container{}))
	}
	return n
}
