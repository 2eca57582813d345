package tot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"prow/internal/service"
)

// maxConfigDump bounds the configuration that deck serves.
const maxConfigDump = 256 << 20

// FallbackCheckCommand is the program that tells for which jobs tot's fallback
// finds the number of the last build.
func FallbackCheckCommand() *cobra.Command {
	var prowURL, bucket string
	cmd := &cobra.Command{
		Use:   "fallbackcheck",
		Short: "Tell for which jobs tot's fallback finds a number",
		Long: `Reads the jobs that PROW-URL/config tells of and looks for the number of the last build of each in the bucket.
Ends with 1 if a job has builds there and no number.`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if prowURL == "" || bucket == "" {
				return errors.New("--prow-url and --bucket are required")
			}
			c := &fallbackCheck{client: &http.Client{Timeout: requestTimeout}, prow: strings.TrimSuffix(prowURL, "/"), bucket: strings.TrimSuffix(bucket, "/"), out: cmd.OutOrStdout()}
			return c.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&prowURL, "prow-url", "", "URL of deck.")
	cmd.Flags().StringVar(&bucket, "bucket", "", "URL of the bucket with the results of jobs.")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &service.UsageError{Err: err} })
	return cmd
}

type fallbackCheck struct {
	client       *http.Client
	prow, bucket string
	out          io.Writer
}

func (c *fallbackCheck) run(ctx context.Context) error {
	dirs, err := c.dirs(ctx)
	if err != nil {
		return err
	}
	missing := 0
	for _, job := range slices.Sorted(maps.Keys(dirs)) {
		root := c.bucket + "/" + dirs[job]
		verdict := "OK"
		if found, err := c.exists(ctx, root+"/latest-build.txt"); err != nil {
			return err
		} else if !found {
			verdict = "IGNORE"
			if found, err = c.exists(ctx, root); err != nil {
				return err
			} else if found {
				verdict = "NOT FOUND"
				missing++
			}
		}
		if _, err := fmt.Fprintf(c.out, "%s: %s\n", verdict, job); err != nil {
			return err
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d jobs have builds and no number of the last one", missing)
	}
	return nil
}

// dirs are the directories of the runs of each job.
func (c *fallbackCheck) dirs(ctx context.Context) (map[string]string, error) {
	resp, err := c.get(ctx, c.prow+"/config")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read %s/config: %s", c.prow, resp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxConfigDump))
	if err != nil {
		return nil, fmt.Errorf("read %s/config: %w", c.prow, err)
	}
	type named struct {
		Name string `json:"name"`
	}
	var cfg struct {
		Presubmits  map[string][]named `json:"presubmits"`
		Postsubmits map[string][]named `json:"postsubmits"`
		Periodics   []named            `json:"periodics"`
	}
	if err := yaml.Unmarshal(raw, &cfg); err != nil {
		return nil, fmt.Errorf("decode %s/config: %w", c.prow, err)
	}
	dirs := map[string]string{}
	for _, j := range cfg.Periodics {
		dirs[j.Name] = "logs/" + j.Name
	}
	for _, jobs := range cfg.Postsubmits {
		for _, j := range jobs {
			dirs[j.Name] = "logs/" + j.Name
		}
	}
	for _, jobs := range cfg.Presubmits {
		for _, j := range jobs {
			dirs[j.Name] = "pr-logs/directory/" + j.Name
		}
	}
	return dirs, nil
}

func (c *fallbackCheck) exists(ctx context.Context, url string) (bool, error) {
	resp, err := c.get(ctx, url)
	if err != nil {
		return false, err
	}
	resp.Body.Close() //nolint:errcheck // only the code counts
	switch resp.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound:
		return false, nil
	}
	return false, fmt.Errorf("look for %s: %s", url, resp.Status)
}

func (c *fallbackCheck) get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	return c.client.Do(req)
}
