package postgres

import (
	"cmp"
	"fmt"
	"strings"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
	"autoscale.io/scalers/sqlquery"
)

// params are the trigger's parameters beside the common ones.
type params struct {
	sqlquery.Params

	SSLMode            string `name:"sslmode" enum:"disable,require,verify-ca,verify-full" doc:"How the connection is secured, as libpq names it: disable, not at all; require, with any certificate; verify-ca, with one of a trusted authority; verify-full, with one that is also valid for the host. When absent, what the connection string or tls says, and verify-full where they say nothing."`
	Listen             string `name:"listen" doc:"A channel: NOTIFY on it makes the autoscaler read this trigger at once. It needs a direct connection, as a pooler in transaction mode loses notifications."`
	TargetSessionAttrs string `name:"targetSessionAttrs" enum:"any,read-write,read-only,primary,standby" doc:"Which server will do. primary refuses a standby, and so notices a failover even where a name still leads to the old server; any is the default."`
}

// Modes of sslmode.
const (
	disable    = "disable"
	require    = "require"
	verifyCA   = "verify-ca"
	verifyFull = "verify-full"
)

const defaultPort = 5432

// check looks at the parameters as a whole, at admission.
func check(in annotations.CheckInput) (problems, warnings []schema.Problem) {
	_, c := resolve(in.Params.(*params), in.Indirect)
	return c.Problems, c.Warnings
}

// resolve makes a server of the parameters, and says what is wrong with them.
func resolve(p *params, indirect schema.Refs) (server, *sqlquery.Checker) {
	c := &sqlquery.Checker{Params: &p.Params, Findings: schema.Findings{Indirect: indirect}}
	c.Statement()
	s := server{
		hosts: []endpoint{{strings.Trim(p.Host, "[]"), uint16(cmp.Or(p.Port, defaultPort))}},
		user:  p.Username, password: p.Password, database: p.Database,
	}
	if c.Whole() && p.Connection != "" {
		parsed, err := parseConnection(p.Connection)
		if err != nil {
			c.Problem("connection", err.Error())
		}
		s = parsed
	}
	s.database = cmp.Or(s.database, s.user)
	s.attrs = p.attrs(s, c)
	s.sslmode = p.mode(s, c)
	s.tls = p.TLS
	tlsProblems, tlsWarnings := p.TLS.Check("tls", indirect)
	c.Problems = append(c.Problems, tlsProblems...)
	c.Warnings = append(c.Warnings, tlsWarnings...)
	return s, c
}

func (p *params) attrs(s server, c *sqlquery.Checker) string {
	if p.TargetSessionAttrs != "" && s.attrs != "" && p.TargetSessionAttrs != s.attrs {
		c.Problem("targetSessionAttrs", "differs from the target_session_attrs of connection; want one of the two")
	}
	return cmp.Or(p.TargetSessionAttrs, s.attrs, "any")
}

// mode is how the connection is secured.
func (p *params) mode(s server, c *sqlquery.Checker) string {
	if p.SSLMode != "" && s.sslmode != "" && p.SSLMode != s.sslmode {
		c.Problem("sslmode", "differs from the sslmode of connection; want one of the two")
	}
	mode := cmp.Or(p.SSLMode, s.sslmode)
	p.checkMode(mode, c)
	switch {
	case mode == "" && p.off():
		return disable
	case mode == "" && p.TLS.InsecureSkipVerify:
		return require
	case mode == require && p.TLS.CA != "":
		// As libpq has it: who gives an authority wants it asked.
		return verifyCA
	}
	return cmp.Or(mode, verifyFull)
}

// off says that the tls parameters turn it off by name.
func (p *params) off() bool { return p.TLS.Enabled != nil && !*p.TLS.Enabled }

func (p *params) checkMode(mode string, c *sqlquery.Checker) {
	switch {
	case mode == "":
	case mode == disable && (p.TLS.On() || refersToTLS(c.Indirect)):
		c.Problem("sslmode", "disable, yet tls parameters are given; want verify-full, or none of them")
	case mode != disable && p.off():
		c.Problem("tls.enabled", fmt.Sprintf("false, yet sslmode is %s; want sslmode alone", mode))
	case mode == require && p.TLS.CA == "" && !c.Refers("tls.ca"):
		c.Warn("sslmode", "require accepts any certificate; credentials go to whoever answers")
	}
}

func refersToTLS(indirect schema.Refs) bool {
	for _, path := range indirect.Paths() {
		if strings.HasPrefix(path, "tls.") {
			return true
		}
	}
	return false
}

// qualified makes Services of the namespace out of hosts without a dot.
func (s server) qualified(namespace string) server {
	hosts := make([]endpoint, 0, len(s.hosts))
	for _, host := range s.hosts {
		hosts = append(hosts, endpoint{scalers.QualifyHost(host.host, namespace), host.port})
	}
	s.hosts = hosts
	return s
}
