package fleet_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mettleml/mettle/attack/fleet"
	"github.com/mettleml/mettle/attack/fleet/server"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// An authority signs certificates into a directory.
type authority struct {
	t    *testing.T
	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	a := &authority{t: t, dir: dir, name: name}
	a.cert, a.key = a.sign(name, true)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name+".pem") }

// sign writes the certificate of a name and its key to files NAME.pem and NAME-key.pem.
func (a *authority) sign(name string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	must := func(err error) {
		if err != nil {
			a.t.Helper()
			a.t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, by := a.cert, a.key
	if ca {
		c.KeyUsage |= x509.KeyUsageCertSign
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	must(err)
	kb, err := x509.MarshalECPrivateKey(key)
	must(err)
	must(os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(a.path(name+"-key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: kb}), 0o600))
	c, err = x509.ParseCertificate(der)
	must(err)
	return c, key
}

// works submits a campaign by a connection and runs it.
func works(t *testing.T, c fleet.Connection) {
	t.Helper()
	ctx := context.Background()
	f, err := fleet.Open(ctx, fleet.OpenOptions{Connection: c, Create: true, Log: say(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file := campaign(t, 2, startVictim(t, victimArgs{}).url())
	want, _ := undisturbed(t, file)
	if _, err := f.Submit(ctx, file); err != nil {
		t.Fatal(err)
	}
	err = f.Work(ctx, fleet.WorkOptions{Name: "w", Strict: true, Log: say(t), Until: f.Over("test")})
	if err != nil {
		t.Fatal(err)
	}
	same(t, f, want)
}

func refused(t *testing.T, c fleet.Connection, why string) {
	t.Helper()
	f, err := fleet.Open(context.Background(), fleet.OpenOptions{Connection: c})
	if err == nil {
		f.Close()
	}
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%v; want %q", err, why)
	}
}

// TestTLS: servers with certificates serve clients that know their authority and, if they
// ask for it, have certificates of their own.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	a, other := newAuthority(t, dir, "ca"), newAuthority(t, dir, "other")
	a.sign("server", false)
	a.sign("client", false)
	other.sign("stranger", false)
	s, err := server.Start(server.Options{Dir: t.TempDir(), Name: "tls", Listen: fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]),
		CertFile: a.path("server"), KeyFile: a.path("server-key"), CAFile: a.path("ca")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := fleet.Connection{URL: s.URL(), CAFile: a.path("ca"), CertFile: a.path("client"), KeyFile: a.path("client-key")}
	works(t, c)
	unknown := c
	unknown.CAFile = a.path("other")
	refused(t, unknown, "certificate signed by unknown authority")
	stranger := c
	stranger.CertFile, stranger.KeyFile = a.path("stranger"), a.path("stranger-key")
	refused(t, stranger, "no server at")
	lost := c
	lost.KeyFile = a.path("lost")
	refused(t, lost, "lost.pem")
}

// TestCredentials: servers that run a configuration of NATS's own, with accounts, serve
// clients with a credentials file of an account; how the servers keep their data is read
// from their monitoring.
func TestCredentials(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	pair := func(create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		t.Helper()
		k, err := create()
		must(err)
		public, err := k.PublicKey()
		must(err)
		return k, public
	}
	operator, operatorID := pair(nkeys.CreateOperator)
	account, accountID := pair(nkeys.CreateAccount)
	_, systemID := pair(nkeys.CreateAccount)
	user, userID := pair(nkeys.CreateUser)
	oc := jwt.NewOperatorClaims(operatorID)
	oc.Name = "O"
	operatorJWT, err := oc.Encode(operator)
	must(err)
	ac := jwt.NewAccountClaims(accountID)
	ac.Name = "A"
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1, MaxAckPending: -1}
	accountJWT, err := ac.Encode(operator)
	must(err)
	systemJWT, err := jwt.NewAccountClaims(systemID).Encode(operator)
	must(err)
	userJWT, err := jwt.NewUserClaims(userID).Encode(account)
	must(err)
	seed, err := user.Seed()
	must(err)
	creds, err := jwt.FormatUserConfig(userJWT, seed)
	must(err)
	dir := t.TempDir()
	file := filepath.Join(dir, "worker.creds")
	must(os.WriteFile(file, creds, 0o600))
	ports := freePorts(t, 2)
	config := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf(`
		server_name: mine
		listen: "127.0.0.1:%d"
		http: "127.0.0.1:%d"
		operator: %s
		resolver: MEMORY
		resolver_preload: { %s: %s, %s: %s }
		system_account: %s
		jetstream { store_dir: %q, sync_interval: always }
	`, ports[0], ports[1], operatorJWT, accountID, accountJWT, systemID, systemJWT, systemID, filepath.Join(dir, "data"))
	// What NATS finds wrong with a configuration is told at once.
	must(os.WriteFile(config, []byte(strings.Replace(text, "system_account", "#", 1)), 0o600))
	if _, err := server.Start(server.Options{Config: config}); err == nil || !strings.Contains(err.Error(), "system account not setup") {
		t.Errorf("without a system account: %v", err)
	}
	must(os.WriteFile(config, []byte(text), 0o600))
	s, err := server.Start(server.Options{Config: config})
	must(err)
	defer s.Close()
	c := fleet.Connection{URL: s.URL(), Credentials: file, Monitor: []string{fmt.Sprintf("http://127.0.0.1:%d", ports[1])}}
	works(t, c)
	anonymous := c
	anonymous.Credentials = ""
	refused(t, anonymous, "does not accept these credentials")
	unsaid := c
	unsaid.Monitor = nil
	refused(t, unsaid, "give the address of its monitoring by -monitor")
}

// TestTwoOfThree: no campaign is begun on two servers of three, of which none could be
// missed, and the error says so.
func TestTwoOfThree(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not in -short")
	}
	t.Parallel()
	s := startServers(t, 3)
	s.procs[2].kill()
	f, err := fleet.Open(context.Background(), fleet.OpenOptions{Connection: fleet.Connection{URL: s.url}, Create: true, Log: say(t)})
	if err == nil {
		f.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "a cluster needs three servers") {
		t.Error(err)
	}
}
