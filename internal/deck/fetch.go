package deck

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// fetchTimeout bounds an answer: other components answer soon or not at all.
const fetchTimeout = 15 * time.Second

// maxAnswer bounds what another component may answer, in bytes.
const maxAnswer = 64 << 20

// fetchJSON reads JSON from another component. authorization may be empty.
func fetchJSON(ctx context.Context, url string, into any, authorization string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := (&http.Client{Timeout: fetchTimeout}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("asking %s: the answer is %s", url, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	return nil
}
