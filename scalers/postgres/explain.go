package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"autoscale.io/scalers/sqlquery"
)

// explainer says what failed and what to do about it.
type explainer struct {
	user, sslmode string
}

func (e explainer) dialect() sqlquery.Dialect {
	return sqlquery.Dialect{Setup: setup, Numeric: numeric, Again: again, Explain: e.explain}
}

// setup ends the query on the server when nobody waits for it any more.
func setup(timeout time.Duration) string {
	return fmt.Sprintf("set local statement_timeout = %d", timeout.Milliseconds())
}

func numeric(databaseType string) bool {
	return slices.Contains([]string{"INT2", "INT4", "INT8", "FLOAT4", "FLOAT8", "NUMERIC"}, databaseType)
}

// Codes of errors, as https://www.postgresql.org/docs/current/errcodes-appendix.html lists them.
const (
	codeConflict   = "40001"
	codeReadOnly   = "25006"
	codeCancelled  = "57014"
	codePrivilege  = "42501"
	codeSyntax     = "42601"
	codePassword   = "28P01"
	codeLogin      = "28000"
	codeNoDatabase = "3D000"
	codeTooMany    = "53300"
	codeStarting   = "57P03"
)

// again retries what a hot standby cancelled because it had to replay a change to what the query read.
func again(err error) bool { return code(err) == codeConflict }

func code(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// advice is what to do about a code.
func (e explainer) advice(refused *pgconn.PgError) string {
	switch refused.Code {
	case codeConflict:
		return "the standby had to cancel the query twice to replay changes; ask the primary, or raise max_standby_streaming_delay"
	case codeReadOnly:
		return "the query writes or locks, which a trigger may not"
	case codeCancelled:
		return "the query was cancelled, most likely because it ran longer than the trigger's timeout"
	case codePrivilege:
		return fmt.Sprintf("user %s may not read what the query reads; grant it with: GRANT SELECT ON … TO %s", e.user, e.user)
	case codeSyntax:
		if strings.Contains(refused.Message, "multiple commands") {
			return "the query holds more than one statement; want one"
		}
		return "the query is not valid SQL"
	case codePassword:
		return fmt.Sprintf("the server refused user %s or the password", e.user)
	case codeLogin:
		if strings.Contains(refused.Message, "no encryption") && e.sslmode == disable {
			return "the server refused a login without TLS; remove sslmode: disable"
		}
		return fmt.Sprintf("the server refused the login of user %s", e.user)
	case codeNoDatabase:
		return "the database does not exist"
	case codeTooMany:
		return "the server has no connection left; raise its max_connections or ask through a pooler"
	case codeStarting:
		return "the server is starting or stopping"
	}
	return "the server refused"
}

// explain makes an error that tells a person what to do. The driver's own texts hold no password.
func (e explainer) explain(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return fmt.Errorf("%s: %s", e.advice(refused), refused.Error())
	}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	text := plain(err)
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's certificate is of an authority that is not trusted; give its certificate as tls.caFrom: %s", text)
	case errors.As(err, &name):
		return fmt.Errorf("the server's certificate is for another name; set tls.serverName, or sslmode: verify-ca: %s", text)
	case strings.Contains(text, "invalid body length"), strings.Contains(text, "unknown message type"):
		// The numbers in the driver's text are letters of the answer, and whoever chooses an address would read what answers there.
		return errors.New("what answers is no PostgreSQL server; want the address of one")
	case strings.Contains(text, "ValidateConnect failed"):
		return fmt.Errorf("no server is one that targetSessionAttrs asks for: %s", text)
	case strings.Contains(text, "server refused TLS connection"):
		return fmt.Errorf("the server does not offer TLS; turn it on there, or set sslmode: disable to send everything in plain text: %s", text)
	case strings.Contains(text, "require_auth"):
		return fmt.Errorf("the server asks for the password in plain text, which without TLS is not sent; set sslmode: verify-full, or scram-sha-256 at the server: %s", text)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %s", text)
	}
	return errors.New(text)
}

// plain is the error without the driver's line about user and database, and on one line.
func plain(err error) string {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		err = connect.Unwrap()
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
