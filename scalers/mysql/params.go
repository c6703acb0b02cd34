package mysql

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
	"autoscale.io/scalers/pool"
	"autoscale.io/scalers/sqlquery"
)

// params are the trigger's parameters beside the common ones.
type params struct {
	sqlquery.Params
}

const defaultPort = 3306

// server is everything that says which server it is, who asks, and whom is trusted.
type server struct {
	host                     string
	port                     uint16
	user, password, database string
	tls                      scalers.TLS
}

func check(in annotations.CheckInput) (problems, warnings []schema.Problem) {
	_, c := resolve(in.Params.(*params), in.Indirect)
	return c.Problems, c.Warnings
}

// resolve makes a server of the parameters, and says what is wrong with them.
func resolve(p *params, indirect schema.Refs) (server, *sqlquery.Checker) {
	c := &sqlquery.Checker{Params: &p.Params, Findings: schema.Findings{Indirect: indirect}}
	c.Statement()
	statement(c)
	s := server{
		host: strings.Trim(p.Host, "[]"), port: uint16(cmp.Or(p.Port, defaultPort)),
		user: p.Username, password: p.Password, database: p.Database,
	}
	secured := false
	if c.Whole() && p.Connection != "" {
		parsed, mode, err := parseConnection(p.Connection)
		if err != nil {
			c.Problem("connection", err.Error())
		}
		s = parsed
		secured = mode == "true"
		if mode == "false" && p.TLS.On() {
			c.Problem("connection", "turns TLS off, yet tls parameters are given; want one of the two")
		}
	}
	s.tls = p.TLS
	if secured && s.tls.Enabled == nil {
		s.tls.Enabled = &secured
	}
	tlsProblems, tlsWarnings := p.TLS.Check("tls", indirect)
	c.Problems = append(c.Problems, tlsProblems...)
	c.Warnings = append(c.Warnings, tlsWarnings...)
	return s, c
}

// Between two words of a statement stand spaces and comments.
const gap = `(?:\s|/\*(?s:.*?)\*/|--[^\n]*\n|#[^\n]*\n)+`

// statement adds a problem for what a read-only transaction of MySQL lets pass. A text within quotes that reads the same is refused, too: no count needs one.
func statement(c *sqlquery.Checker) {
	for _, refused := range []struct{ pattern, text string }{
		{`/\*M?!`, "holds a comment that the server would run (/*! …); want the statement itself"},
		{`(?i)\binto` + gap + `(?:outfile|dumpfile)\b`, "writes a file (INTO OUTFILE); want a statement that only reads"},
		{`(?i)\bfor` + gap + `(?:update|share)\b`, "locks what it reads (FOR UPDATE or FOR SHARE); want a statement that only reads"},
		{`(?i)\block` + gap + `in` + gap + `share\b`, "locks what it reads (LOCK IN SHARE MODE); want a statement that only reads"},
	} {
		if regexp.MustCompile(refused.pattern).MatchString(c.Query) {
			c.Problem("query", refused.text)
		}
	}
}

// Faults of a connection string. None quotes it: in one that is malformed any piece may be one of the password.
var (
	errForm   = errors.New("not a valid connection string; want user:password@tcp(host:port)/database, or the parameters host, username, password and database, which take every character")
	errSocket = errors.New("the connection string names a socket or another kind of network, which are refused; want tcp(host:port)")
	errFiles  = errors.New("the connection string allows the server to ask for files of the autoscaler (allowAllFiles), which is refused; remove it")
	errTLS    = errors.New("the connection string's tls is not supported; want true or false there, or the tls parameters, such as tls.caFrom or tls.insecureSkipVerify")
	errParams = errors.New("the connection string sets variables of the session or names a key, which is not supported; want the server, the user and the database alone")
)

// parseConnection takes the server, the user and the database of a connection string of the driver's form, and what it says of TLS: true, false or nothing.
func parseConnection(text string) (s server, tls string, err error) {
	// The driver's errors quote the text.
	parsed, err := driver.ParseDSN(text)
	switch {
	case err != nil:
		return server{}, "", explainDSN(text)
	case parsed.Net != "tcp":
		return server{}, "", errSocket
	case parsed.AllowAllFiles:
		return server{}, "", errFiles
	case parsed.TLSConfig != "" && parsed.TLSConfig != "true" && parsed.TLSConfig != "false":
		return server{}, "", errTLS
	case len(parsed.Params) > 0 || parsed.ServerPubKey != "":
		return server{}, "", errParams
	}
	host, number, err := net.SplitHostPort(parsed.Addr)
	if err != nil || !sqlquery.IsHost(host) || parsed.User == "" {
		return server{}, "", errForm
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 {
		return server{}, "", errForm
	}
	return server{host: host, port: uint16(port), user: parsed.User, password: parsed.Passwd, database: parsed.DBName}, parsed.TLSConfig, nil
}

// explainDSN finds the one fault that a well-formed string can have to the driver: a name that nobody has registered.
func explainDSN(text string) error {
	if regexp.MustCompile(`[?&]tls=[^&]*$|[?&]tls=[^&]*&`).MatchString(text) {
		return errTLS
	}
	return errForm
}

// identity is the key that triggers share connections by.
func (s server) identity() [32]byte {
	parts := []string{s.host, fmt.Sprint(s.port), s.user, s.password, s.database}
	return pool.Key(append(parts, s.tls.Identity()...)...)
}
