package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	certLifetime = 10 * 365 * 24 * time.Hour
	// A certificate that ends sooner than this is made anew at start.
	certRenewal = 365 * 24 * time.Hour

	// apiserverClientName is the common name by which the API server shows
	// itself to the node.
	apiserverClientName = "kube-apiserver-kubelet-client"
)

// pki is the directory's own certificate authority and what it has signed.
type pki struct {
	s      *state
	caCert *x509.Certificate
	caKey  crypto.Signer
}

// leaf is what a certificate is made for.
type leaf struct {
	name   string // file name without extension
	cn     string
	org    []string
	server bool
}

var (
	leafServer        = leaf{name: "apiserver", cn: "kube-apiserver", server: true}
	leafAdmin         = leaf{name: "admin", cn: "prow-standalone-admin", org: []string{"system:masters"}}
	leafKubeletClient = leaf{name: "apiserver-kubelet-client", cn: apiserverClientName, org: []string{"system:masters"}}
	leafNode          = leaf{name: "node", cn: "system:node:prow", server: true}
)

// openPKI loads the authority, making it and the leaves that are missing or
// about to end.
func openPKI(s *state, now time.Time) (*pki, error) {
	if err := os.MkdirAll(s.path("pki"), 0o700); err != nil {
		return nil, fmt.Errorf("make directory of keys: %w", err)
	}
	p := &pki{s: s}
	if err := p.openCA(now); err != nil {
		return nil, err
	}
	for _, l := range []leaf{leafServer, leafAdmin, leafKubeletClient, leafNode} {
		if err := p.ensure(l, now); err != nil {
			return nil, fmt.Errorf("certificate %s: %w", l.name, err)
		}
	}
	return p, p.ensureServiceAccountKey()
}

func (p *pki) certFile(name string) string { return p.s.path("pki", name+".crt") }
func (p *pki) keyFile(name string) string  { return p.s.path("pki", name+".key") }

func (p *pki) openCA(now time.Time) error {
	pair, err := tls.LoadX509KeyPair(p.certFile("ca"), p.keyFile("ca"))
	if err == nil {
		signer, ok := pair.PrivateKey.(crypto.Signer)
		if !ok {
			return fmt.Errorf("%s: key cannot sign", p.keyFile("ca"))
		}
		p.caCert, p.caKey = pair.Leaf, signer
		if now.After(p.caCert.NotAfter) {
			return fmt.Errorf("certificate authority %s ended on %s: use a new state directory", p.certFile("ca"), p.caCert.NotAfter.Format(time.DateOnly))
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("load certificate authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key of certificate authority: %w", err)
	}
	tmpl, err := template("prow-standalone-ca", now)
	if err != nil {
		return err
	}
	tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make certificate authority: %w", err)
	}
	if p.caCert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("parse own certificate authority: %w", err)
	}
	p.caKey = key
	return p.write("ca", der, key)
}

func (p *pki) ensure(l leaf, now time.Time) error {
	if pair, err := tls.LoadX509KeyPair(p.certFile(l.name), p.keyFile(l.name)); err == nil &&
		pair.Leaf.CheckSignatureFrom(p.caCert) == nil && now.Add(certRenewal).Before(pair.Leaf.NotAfter) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	tmpl, err := template(l.cn, now)
	if err != nil {
		return err
	}
	tmpl.Subject.Organization = l.org
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if l.server {
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		tmpl.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
		tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, p.caCert, key.Public(), p.caKey)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return p.write(l.name, der, key)
}

// ensureServiceAccountKey makes the key that signs service account tokens.
func (p *pki) ensureServiceAccountKey() error {
	if _, err := os.Stat(p.keyFile("service-accounts")); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key for service accounts: %w", err)
	}
	return p.writeKey("service-accounts", key)
}

func template(cn string, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: cn},
		// Backdated, for clocks that are set back a little between two starts.
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.Add(certLifetime),
	}, nil
}

// write stores the key before the certificate: a pair is complete once its
// certificate exists.
func (p *pki) write(name string, der []byte, key *ecdsa.PrivateKey) error {
	if err := p.writeKey(name, key); err != nil {
		return err
	}
	return p.s.writeFile(filepath.Join("pki", name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (p *pki) writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key %s: %w", name, err)
	}
	return p.s.writeFile(filepath.Join("pki", name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// nodeTLS is the server side of the node's log endpoint: only the API server
// of the same authority is let in.
func (p *pki) nodeTLS() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(p.certFile(leafNode.name), p.keyFile(leafNode.name))
	if err != nil {
		return nil, fmt.Errorf("load node certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(p.caCert)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if cn := cs.PeerCertificates[0].Subject.CommonName; cn != apiserverClientName {
				return fmt.Errorf("client %q is not the API server", cn)
			}
			return nil
		},
	}, nil
}
