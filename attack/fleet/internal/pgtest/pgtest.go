// Package pgtest starts PostgreSQL for tests.
package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A Server is one that a test started.
type Server struct {
	t    testing.TB
	bin  string
	dir  string
	as   *syscall.Credential
	cmd  *exec.Cmd
	gone chan struct{}
}

// Start starts a server with a new data directory, or skips the test where PostgreSQL is
// not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Skip("PostgreSQL is not installed: apt-get install postgresql")
	}
	dir, err := os.MkdirTemp("", "mettlepg")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, bin: filepath.Dir(found[len(found)-1]), dir: dir}
	t.Cleanup(func() {
		s.Kill()
		os.RemoveAll(dir)
	})
	if os.Getuid() == 0 { // it refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("PostgreSQL does not run as root, and there is no user postgres")
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			t.Fatal(err)
		}
	}
	init := exec.Command(s.bin+"/initdb", "-D", dir+"/data", "-U", "mettle", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
	init.Dir = dir
	init.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Restart()
	return s
}

// Restart starts the server again.
func (s *Server) Restart(options ...string) {
	s.t.Helper()
	args := []string{"-D", s.dir + "/data", "-k", s.dir, "-c", "listen_addresses="}
	s.cmd = exec.Command(s.bin+"/postgres", append(args, options...)...)
	s.cmd.Dir = s.dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(s.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.gone = make(chan struct{})
	go func() {
		s.cmd.Wait()
		log.Close()
		close(s.gone)
	}()
	for range 200 {
		ready := exec.Command(s.bin+"/pg_isready", "-h", s.dir, "-U", "mettle", "-q")
		if ready.Run() == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b, _ := os.ReadFile(s.dir + "/log")
	s.t.Fatalf("PostgreSQL does not start:\n%s", b)
}

// Kill stops the server at once, as a loss of power stops its process.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGQUIT) // its immediate shutdown: no checkpoint, recovery at the start
	<-s.gone
}

// URL is the address for clients.
func (s *Server) URL() string { return fmt.Sprintf("host=%s user=mettle dbname=postgres", s.dir) }
