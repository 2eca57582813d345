package webhookserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// steward keeps a good certificate in use and the API server told about it.
type steward struct {
	keeper   keeper
	template template
	client   client.Client
	register registration
	dryRun   bool
	now      func() time.Time
	log      *slog.Logger

	current atomic.Pointer[tls.Certificate]
	bundle  *Bundle
}

// look makes everything as it should be: the kept bundle is used, or a new one
// made where it does not serve, and the API server trusts its authority.
func (s *steward) look(ctx context.Context) error {
	if err := s.certify(ctx); err != nil {
		return err
	}
	if s.dryRun {
		return nil
	}
	return s.register.ensure(ctx, s.client, s.bundle.CA)
}

func (s *steward) certify(ctx context.Context) error {
	now := s.now()
	kept, err := s.keeper.load(ctx)
	if err != nil {
		return err
	}
	why := errors.New("there is none")
	if kept != nil {
		var pair *tls.Certificate
		if pair, why = s.template.check(kept, now); why == nil {
			s.bundle = kept
			s.current.Store(pair)
			return nil
		}
	} else if s.dryRun && s.bundle != nil {
		return nil
	}
	s.log.InfoContext(ctx, "makes a certificate", "reason", why.Error())
	made, err := issue(s.template, now)
	if err != nil {
		return err
	}
	pair, err := s.template.check(made, now)
	if err != nil {
		return err
	}
	if !s.dryRun {
		// Kept before it is used: a restart must find what the API server trusts.
		if err := s.keeper.save(ctx, made); err != nil {
			return err
		}
	}
	s.bundle = made
	s.current.Store(pair)
	return nil
}

// certificate implements tls.Config.GetCertificate.
func (s *steward) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.current.Load(), nil
}
