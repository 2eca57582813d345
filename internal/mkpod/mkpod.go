// Package mkpod is the program that makes the pod of a ProwJob by hand: to look
// at it, or to run it without the controller, on a cluster of one's own.
package mkpod

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod"
	"prow/internal/pod/buildid"
	"prow/internal/secret"
	"prow/internal/service"
)

// Name of the program.
const Name = "mkpod"

const (
	// snowflake asks for a build id of our own making.
	snowflake = "snowflake"
	// maxProwJob bounds the input; the API server takes no larger object.
	maxProwJob = 3 << 20
)

// Options are the flags.
type Options struct {
	// ProwJob is a file, or "-" for standard input.
	ProwJob string
	// BuildID is an id, or "snowflake"; empty takes that of the ProwJob.
	BuildID string
	// Local makes a pod that leaves its output in a directory of its node.
	Local bool
	// OutDir is where the directories of local runs go.
	OutDir string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&o.ProwJob, "prow-job", "", "File with the ProwJob as YAML or JSON; - is standard input. Required.")
	fs.StringVar(&o.BuildID, "build-id", "", "Build id of the run, or snowflake to make one. Default: that of the ProwJob.")
	fs.BoolVar(&o.Local, "local", false, "Copy the output to a directory of the node instead of storing it; no credentials for storage are needed.")
	fs.StringVar(&o.OutDir, "out-dir", "", "With --local: the output goes below this directory. Default: a new temporary directory.")
}

// Validate reports all problems at once.
func (o *Options) Validate() error {
	var errs []error
	if o.ProwJob == "" {
		errs = append(errs, errors.New("--prow-job is required"))
	}
	if o.OutDir != "" && !o.Local {
		errs = append(errs, errors.New("--out-dir may be given only with --local"))
	}
	return errors.Join(errs...)
}

// Streams are what the program reads and writes.
type Streams struct {
	// In holds the ProwJob, if it is asked for there, and answers the questions
	// that are put to Err. Out receives the pod.
	In       io.Reader
	Out, Err io.Writer
}

// Command is the program.
func Command() *cobra.Command {
	o := &Options{}
	cmd := &cobra.Command{
		Use:   Name,
		Short: "Make the pod of a ProwJob",
		Long: "Prints the pod that a ProwJob is run as, without the label by which finished pods are removed. With --local it asks, on standard\n" +
			"error, what to put in the place of each volume that a cluster of your own may lack.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return Run(cmd.Context(), o, Streams{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()})
		},
	}
	o.Bind(cmd.Flags())
	return cmd
}

// Run prints the pod.
func Run(ctx context.Context, o *Options, streams Streams) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("bad options: %w", err)
	}
	log := service.NewLogger(streams.Err, slog.LevelWarn, new(secret.Store)).With("component", Name)
	in := bufio.NewReader(streams.In)
	pj, err := read(o.ProwJob, in)
	if err != nil {
		return err
	}
	if pj.Status.BuildID, err = buildID(ctx, o.BuildID, pj); err != nil {
		return err
	}
	if pj.Status.BuildID == "" {
		log.Warn("The pod has no build id: neither --build-id nor status.build_id gives one.")
	}
	var opts []pod.Option
	if o.Local {
		dir, err := outputDir(o.OutDir, pj)
		if err != nil {
			return err
		}
		opts = append(opts, pod.WithLocalOutput(dir))
	}
	made, err := pod.Build(pj, opts...)
	if err != nil {
		return err
	}
	if o.Local {
		if err := replaceVolumes(made.Spec.Volumes, in, streams.Err); err != nil {
			return err
		}
	}
	// The cleaner deletes pods with this label that belong to no ProwJob it knows.
	delete(made.Labels, v1.CreatedByProwLabel)
	made.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	out, err := yaml.Marshal(made)
	if err != nil {
		return fmt.Errorf("write the pod as YAML: %w", err)
	}
	if _, err := streams.Out.Write(out); err != nil {
		return fmt.Errorf("print the pod: %w", err)
	}
	return nil
}

func read(name string, stdin io.Reader) (*v1.ProwJob, error) {
	from, what := stdin, "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read the ProwJob: %w", err)
		}
		defer file.Close()
		from, what = file, name
	}
	raw, err := io.ReadAll(io.LimitReader(from, maxProwJob+1))
	if err != nil {
		return nil, fmt.Errorf("read the ProwJob from %s: %w", what, err)
	}
	if len(raw) > maxProwJob {
		return nil, fmt.Errorf("read the ProwJob from %s: it is larger than %d bytes", what, maxProwJob)
	}
	var pj v1.ProwJob
	if err := yaml.Unmarshal(raw, &pj); err != nil {
		return nil, fmt.Errorf("read the ProwJob from %s: %w", what, err)
	}
	if pj.Kind != "" && pj.Kind != "ProwJob" {
		return nil, fmt.Errorf("%s holds a %s, not a ProwJob", what, pj.Kind)
	}
	return &pj, nil
}

func buildID(ctx context.Context, given string, pj *v1.ProwJob) (string, error) {
	if !strings.EqualFold(given, snowflake) {
		return cmp.Or(given, pj.Status.BuildID), nil
	}
	ids, err := buildid.NewSnowflake(buildid.DefaultNode, time.Now)
	if err != nil {
		return "", fmt.Errorf("make a build id: %w", err)
	}
	return ids.BuildID(ctx, pj.Spec.Job)
}

// outputDir is a directory for this run. Without a build id the name of the
// ProwJob keeps runs apart.
func outputDir(parent string, pj *v1.ProwJob) (string, error) {
	if parent != "" {
		return filepath.Join(parent, cmp.Or(pj.Status.BuildID, pj.Name)), nil
	}
	prefix := strings.Join([]string{"prowjob-out", pj.Spec.Job, pj.Status.BuildID}, "-")
	dir, err := os.MkdirTemp("", strings.ReplaceAll(prefix, "/", "-")+"*")
	if err != nil {
		return "", fmt.Errorf("make a directory for the output: %w", err)
	}
	return dir, nil
}

// replaceVolumes asks what to put in the place of each volume that a node of
// one's own may lack. Nobody to answer is the answer to keep them.
func replaceVolumes(volumes []corev1.Volume, answers *bufio.Reader, questions io.Writer) error {
	for i := range volumes {
		v := &volumes[i]
		if v.HostPath != nil || v.EmptyDir != nil {
			continue
		}
		_, err := fmt.Fprintf(questions, "Volume %q (%s): empty for an emptyDir, a path for a directory of the node, nothing to keep it: ", v.Name, kind(v))
		if err != nil {
			return fmt.Errorf("ask about volume %s: %w", v.Name, err)
		}
		line, err := answers.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the answer about volume %s: %w", v.Name, err)
		}
		switch answer := strings.TrimSpace(line); {
		case answer == "":
			if err != nil {
				if _, err := io.WriteString(questions, "kept, since standard input has ended\n"); err != nil {
					return fmt.Errorf("tell about volume %s: %w", v.Name, err)
				}
			}
		case strings.EqualFold(answer, "empty"), strings.EqualFold(answer, "emptydir"):
			v.VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
		default:
			v.VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: answer}}
		}
	}
	return nil
}

// kind names the source of a volume for people.
func kind(v *corev1.Volume) string {
	switch {
	case v.Secret != nil:
		return "secret " + v.Secret.SecretName
	case v.ConfigMap != nil:
		return "config map " + v.ConfigMap.Name
	case v.PersistentVolumeClaim != nil:
		return "claim " + v.PersistentVolumeClaim.ClaimName
	}
	return "of another kind"
}
