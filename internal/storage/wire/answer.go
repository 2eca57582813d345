package wire

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"prow/internal/storage"
)

// maxAnswer bounds an answer that is no object, in bytes.
const maxAnswer = 16 << 20

// Answer reads a small answer, and passes the error of the request on.
func Answer(resp *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

// Known gives an error those kinds that callers of storage distinguish, and says
// what was being done to which key.
func Known(doing, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case IsStatus(err, http.StatusNotFound):
		err = errors.Join(storage.ErrNotExist, err)
	case IsStatus(err, http.StatusPreconditionFailed):
		err = errors.Join(storage.ErrExist, err)
	}
	return fmt.Errorf("%s %s: %w", doing, key, err)
}
