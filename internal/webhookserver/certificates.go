package webhookserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// Bundle is the certificate of the server, its key, and the certificates of the
// authority that signed it, each in PEM.
type Bundle struct {
	Cert []byte `json:"certFile.pem"`
	Key  []byte `json:"privKeyFile.pem"`
	CA   []byte `json:"caBundle.pem"`
}

const (
	organization = "prow.k8s.io"
	keyBits      = 4096
	// backdated is how long before its creation a certificate is valid: the
	// clocks of machines differ.
	backdated = time.Hour
)

// template says what certificate is wanted.
type template struct {
	hosts  []string // DNS names and addresses
	expiry time.Duration
	// quick makes small keys, for installations that live on one machine.
	quick bool
}

// issue makes an authority and a certificate signed by it. The key of the
// authority is forgotten: a new certificate comes with a new authority.
func issue(t template, now time.Time) (*Bundle, error) {
	caKey, err := t.newKey()
	if err != nil {
		return nil, fmt.Errorf("make the key of the authority: %w", err)
	}
	ca := t.certificate(now)
	ca.Subject.CommonName, ca.IsCA, ca.BasicConstraintsValid = "ca", true, true
	ca.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	caDER, err := sign(ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("make the authority: %w", err)
	}
	key, err := t.newKey()
	if err != nil {
		return nil, fmt.Errorf("make the key of the server: %w", err)
	}
	cert := t.certificate(now)
	cert.Subject.CommonName = t.hosts[0]
	cert.KeyUsage, cert.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range t.hosts {
		if ip := net.ParseIP(host); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else {
			cert.DNSNames = append(cert.DNSNames, host)
		}
	}
	der, err := sign(cert, ca, key.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the server: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key of the server: %w", err)
	}
	return &Bundle{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		CA:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
	}, nil
}

func (t template) newKey() (crypto.Signer, error) {
	if t.quick {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, keyBits)
}

func (t template) certificate(now time.Time) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{Organization: []string{organization}}, NotBefore: now.Add(-backdated), NotAfter: now.Add(t.expiry)}
}

func sign(cert, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	cert.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, cert, parent, public, key)
}

// renewal is why a bundle must be replaced.
var (
	errIncomplete = errors.New("the certificate is incomplete")
	errExpires    = errors.New("the certificate has expired or will soon")
	errNames      = errors.New("the certificate does not name the server")
)

// check reads a bundle and tells whether it serves: the key fits, the authority
// has signed it, it names the server, and it has some time left.
func (t template) check(b *Bundle, now time.Time) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(b.Cert, b.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errIncomplete, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b.CA) {
		return nil, fmt.Errorf("%w: it has no authority", errIncomplete)
	}
	leaf := pair.Leaf
	left := leaf.NotAfter.Sub(now)
	// A tenth of its life, but no more than 30 days, is kept for the change.
	if left <= min(leaf.NotAfter.Sub(leaf.NotBefore)/10, 30*24*time.Hour) {
		return nil, errExpires
	}
	for _, host := range t.hosts {
		if err := leaf.VerifyHostname(host); err != nil {
			return nil, fmt.Errorf("%w: %w", errNames, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: slices.Clone(leaf.ExtKeyUsage)}); err != nil {
		return nil, fmt.Errorf("%w: %w", errIncomplete, err)
	}
	return &pair, nil
}
