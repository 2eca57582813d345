package admission

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/service"
)

// Name of the component.
const Name = "admission"

const (
	port          = ":8443"
	shutdownGrace = 5 * time.Second
	// certificateAge is how long a certificate is served before it is read again.
	certificateAge = 10 * time.Second
)

// Options of the component.
type Options struct {
	CertFile, KeyFile string
	// Address replaces :8443 for a host that runs several components.
	Address string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&o.CertFile, "tls-cert-file", "", "File with the certificate of the server, and the chain.")
	fs.StringVar(&o.KeyFile, "tls-private-key-file", "", "File with the key of the certificate.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	var errs []error
	if o.CertFile == "" {
		errs = append(errs, errors.New("--tls-cert-file is required"))
	}
	if o.KeyFile == "" {
		errs = append(errs, errors.New("--tls-private-key-file is required"))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Refuse changes of what ProwJobs are",
		"Serves an admission webhook at https://:8443/validate that lets only the status of a ProwJob change.", &Options{}, Run)
}

// Run serves until ctx ends. A certificate that is replaced on disk is followed.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	certificates := &certificateFiles{cert: o.CertFile, key: o.KeyFile, now: time.Now}
	if _, err := certificates.get(nil); err != nil {
		return err
	}
	address := o.Address
	if address == "" {
		address = port
	}
	plain, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	listener := tls.NewListener(plain, &tls.Config{GetCertificate: certificates.get, MinVersion: tls.VersionTLS12})
	mux := http.NewServeMux()
	mux.Handle("/validate", Handler(Judge, rt.Log))
	handler := service.NewHTTPMetrics(rt.Metrics, Name, service.HTTPBuckets{}).Measure(mux)
	rt.SetReady()
	return service.Serve(ctx, listener, handler, shutdownGrace)
}

// certificateFiles serves the certificate that the files hold.
type certificateFiles struct {
	cert, key string
	now       func() time.Time

	mu   sync.Mutex
	pair *tls.Certificate
	read time.Time
}

// get implements tls.Config.GetCertificate. A pair that cannot be read, as
// while it is being replaced, leaves the last good one in place.
func (c *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.pair != nil && now.Sub(c.read) < certificateAge {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil {
		c.pair = &pair
	} else if c.pair == nil {
		return nil, fmt.Errorf("certificate of the server: %w", err)
	}
	c.read = now
	return c.pair, nil
}
