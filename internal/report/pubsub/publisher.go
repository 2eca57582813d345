package pubsub

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"golang.org/x/oauth2/google"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/oauth"
	"google.golang.org/grpc/status"

	"prow/internal/report"
)

const (
	endpoint = "dns:///pubsub.googleapis.com:443"
	scope    = "https://www.googleapis.com/auth/pubsub"
)

// Topics publishes through gRPC, over one connection that is made with the first
// message and kept.
type Topics struct {
	// Emulator is the address of an emulator, which is talked to without
	// credentials; empty is Google Cloud with the credentials of the machine.
	Emulator string
	// UserAgent names the program.
	UserAgent string

	mu     sync.Mutex
	conn   *grpc.ClientConn
	client pubsubpb.PublisherClient
}

// Publish publishes one message without attributes.
func (t *Topics) Publish(ctx context.Context, project, topic string, data []byte) error {
	client, err := t.connect(ctx)
	if err != nil {
		return err
	}
	_, err = client.Publish(ctx, &pubsubpb.PublishRequest{
		Topic:    fmt.Sprintf("projects/%s/topics/%s", project, topic),
		Messages: []*pubsubpb.PubsubMessage{{Data: data}},
	})
	switch status.Code(err) {
	case codes.NotFound, codes.InvalidArgument:
		return report.UserError(err)
	}
	return err
}

func (t *Topics) connect(ctx context.Context) (pubsubpb.PublisherClient, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.client != nil {
		return t.client, nil
	}
	target, options := t.Emulator, []grpc.DialOption{grpc.WithUserAgent(t.UserAgent)}
	if target != "" {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	} else {
		// The source outlives this call and must not end with its context.
		tokens, err := google.DefaultTokenSource(context.WithoutCancel(ctx), scope)
		if err != nil {
			return nil, fmt.Errorf("find credentials for Google Cloud: %w", err)
		}
		target = endpoint
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})),
			grpc.WithPerRPCCredentials(oauth.TokenSource{TokenSource: tokens}))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	t.conn, t.client = conn, pubsubpb.NewPublisherClient(conn)
	return t.client, nil
}

// Close ends the connection.
func (t *Topics) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	err := t.conn.Close()
	t.conn, t.client = nil, nil
	return err
}
