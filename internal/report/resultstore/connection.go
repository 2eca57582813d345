package resultstore

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"golang.org/x/oauth2/google"
	resultstore "google.golang.org/genproto/googleapis/devtools/resultstore/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/oauth"
)

const (
	endpoint = "dns:///resultstore.googleapis.com:443"
	scope    = "https://www.googleapis.com/auth/cloud-platform"
)

// Connection is to Google's service, with the credentials of the machine. It is
// made with the first report and kept. The zero value is ready.
type Connection struct {
	mu     sync.Mutex
	conn   *grpc.ClientConn
	client resultstore.ResultStoreUploadClient
}

// Upload returns the client.
func (c *Connection) Upload(ctx context.Context) (resultstore.ResultStoreUploadClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		return c.client, nil
	}
	// The source outlives this call and must not end with its context.
	tokens, err := google.DefaultTokenSource(context.WithoutCancel(ctx), scope)
	if err != nil {
		return nil, fmt.Errorf("find credentials for Google Cloud: %w", err)
	}
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})),
		grpc.WithPerRPCCredentials(oauth.TokenSource{TokenSource: tokens}))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	c.conn, c.client = conn, resultstore.NewResultStoreUploadClient(conn)
	return c.client, nil
}

// Close ends the connection.
func (c *Connection) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn, c.client = nil, nil
	return err
}
