package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"ghostroute/harness/text"
)

// etcdctl are the global flags of etcdctl that a verb has which talks to somebody's cluster.
type etcdctl struct {
	endpoints                   []string
	cacert, cert, key           string
	user, password, token       string
	insecure, skipVerify        bool
	dialTimeout, commandTimeout time.Duration

	flags *pflag.FlagSet
	tls   *tls.Config // nil for none
}

// add gives a verb all of them.
func (e *etcdctl) add(cmd *cobra.Command) {
	e.addTLS(cmd)
	f := e.flags
	f.StringSliceVar(&e.endpoints, "endpoints", []string{"127.0.0.1:2379"}, "gRPC endpoints, with commas between")
	f.StringVar(&e.user, "user", "", "USER[:PASSWORD]; the password is asked for where it is not given")
	f.StringVar(&e.password, "password", "", "the password of --user, which then has none")
	f.StringVar(&e.token, "auth-jwt-token", "", "a JWT in place of a user")
	f.DurationVar(&e.dialTimeout, "dial-timeout", 2*time.Second, "time limit of a connection")
	f.DurationVar(&e.commandTimeout, "command-timeout", 5*time.Second, "time limit of one call")
	cmd.Flags().AddFlagSet(f)
}

// addTLS gives a verb those that say how endpoints are spoken to.
func (e *etcdctl) addTLS(cmd *cobra.Command) {
	f := pflag.NewFlagSet("etcdctl", pflag.ContinueOnError)
	f.StringVar(&e.cacert, "cacert", "", "verify certificates of TLS-enabled servers with this CA bundle")
	f.StringVar(&e.cert, "cert", "", "identify with this TLS certificate file")
	f.StringVar(&e.key, "key", "", "identify with this TLS key file")
	f.BoolVar(&e.insecure, "insecure-transport", true, "no TLS where none is asked for")
	f.BoolVar(&e.skipVerify, "insecure-skip-tls-verify", false, "do not verify certificates of servers")
	e.flags = f
	cmd.Flags().AddFlagSet(f)
}

// read takes what is not given from ETCDCTL_ variables; what is given both ways is refused, as etcdctl does (etcd issue
// 13503). assumed is whether etcdctl's endpoint stands where none is
// given.
func (e *etcdctl) read(cmd *cobra.Command, assumed bool) error {
	var wrong []string
	given := false
	e.flags.VisitAll(func(f *pflag.Flag) {
		variable := "ETCDCTL_" + strings.ReplaceAll(strings.ToUpper(f.Name), "-", "_")
		value, set := os.LookupEnv(variable)
		set = set && value != ""
		switch {
		case set && f.Changed:
			wrong = append(wrong, fmt.Sprintf("%s and --%s are both set: unset one", variable, f.Name))
		case set:
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				wrong = append(wrong, variable+": "+err.Error())
			}
		}
		given = given || f.Name == "endpoints" && f.Changed
	})
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	if !given && !assumed {
		e.endpoints = nil
	}
	if err := e.readTLS(); err != nil {
		return err
	}
	return e.readUser(cmd.Context())
}

// readTLS is as in etcdctl: any of its files, --insecure-skip-tls-verify or --insecure-transport=false turns it on.
func (e *etcdctl) readTLS() error {
	https := func(addr string) bool {
		return strings.HasPrefix(addr, "https://") || strings.HasPrefix(addr, "unixs:")
	}
	wanted := e.cacert+e.cert+e.key != "" || e.skipVerify || !e.insecure
	for _, addr := range e.endpoints {
		wanted = wanted || https(addr)
	}
	if !wanted {
		return nil
	}
	e.tls = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: e.skipVerify}
	if e.cacert != "" {
		pem, err := os.ReadFile(e.cacert)
		if err != nil {
			return fmt.Errorf("--cacert: %w", err)
		}
		e.tls.RootCAs = x509.NewCertPool()
		if !e.tls.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("--cacert: there is no certificate in %s", e.cacert)
		}
	}
	if (e.cert == "") != (e.key == "") {
		return errors.New("--cert and --key go together: one is given")
	}
	if e.cert == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(e.cert, e.key)
	e.tls.Certificates = []tls.Certificate{pair}
	return err
}

func (e *etcdctl) readUser(ctx context.Context) error {
	name, password, found := strings.Cut(e.user, ":")
	switch {
	case e.token != "" && e.user != "":
		return errors.New("--auth-jwt-token and --user are two identities: give one")
	case e.password != "" && (e.user == "" || found):
		return errors.New("--password is the password of a --user without one")
	case e.user == "" || e.password != "":
		return nil
	case found:
		e.user, e.password = name, password
		return nil
	}
	var err error
	e.password, err = ask(ctx, os.Stdin, os.Stderr, "Password: ")
	return err
}

// ask asks for a secret. On a terminal what is typed is not shown.
func ask(ctx context.Context, in *os.File, out io.Writer, question string) (string, error) {
	fd := int(in.Fd())
	if was, err := unix.IoctlGetTermios(fd, getTermios); err == nil {
		hidden := *was
		hidden.Lflag &^= unix.ECHO
		if err := unix.IoctlSetTermios(fd, setTermios, &hidden); err != nil {
			return "", err
		}
		restore := sync.OnceFunc(func() {
			_ = unix.IoctlSetTermios(fd, setTermios, was)
			fmt.Fprintln(out)
		})
		defer restore()
		defer context.AfterFunc(ctx, restore)() // whoever interrupts sees what is typed again
	}
	fmt.Fprint(out, question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !(errors.Is(err, io.EOF) && line != "") {
		return "", fmt.Errorf("no password was given: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// progressLine is a line on a terminal that says how far something is. On anything else it is silent.
type progressLine struct {
	out   *os.File
	shown chan time.Time // when it was last drawn: one place, so that only one draws
}

func progress(out *os.File) *progressLine {
	p := &progressLine{out: out}
	if columns(out) > 0 {
		p.shown = make(chan time.Time, 1)
		p.shown <- time.Time{}
	}
	return p
}

// show draws the line ten times a second at most.
func (p *progressLine) show(done, of int64) {
	if p.shown == nil {
		return
	}
	select {
	case last := <-p.shown:
		if time.Since(last) > 100*time.Millisecond {
			last = time.Now()
			fmt.Fprintf(p.out, "\r%s of %d", text.Count(int(done), "read"), of)
		}
		p.shown <- last
	default:
	}
}

func (p *progressLine) clear() {
	if p.shown != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
