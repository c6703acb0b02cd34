package mysql

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"autoscale.io/scalers/sqlquery"
)

// explainer says what failed and what to do about it.
type explainer struct {
	user, database string
	// secured says that the connection has TLS.
	secured bool
}

func (e explainer) dialect() sqlquery.Dialect {
	return sqlquery.Dialect{
		Setup: setup, Numeric: numeric, Explain: e.explain,
		// A connection that the server closed while it was idle is noticed by the driver before it is used.
		Again: func(error) bool { return false },
	}
}

// setup bounds the answer to two rows, of which the second is a fault, and ends the query on the server when nobody waits for it any more. MySQL and MariaDB
// have different variables for the latter; each reads its own kind of comment and leaves the other's alone.
func setup(timeout time.Duration) string {
	return fmt.Sprintf("SET SESSION sql_select_limit = 2 /*!50708 , SESSION max_execution_time = %d */ /*M! , SESSION max_statement_time = %.3f */",
		timeout.Milliseconds(), timeout.Seconds())
}

func numeric(databaseType string) bool {
	name := strings.TrimPrefix(databaseType, "UNSIGNED ")
	return slices.Contains([]string{"TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "DECIMAL", "FLOAT", "DOUBLE", "YEAR"}, name)
}

// Numbers of errors, of MySQL and of MariaDB.
const (
	tooMany         = 1040
	noDatabaseRight = 1044
	accessDenied    = 1045
	noDatabase      = 1049
	notSQL          = 1064
	noTableRight    = 1142
	noColumnRight   = 1143
	tooManyOfUser   = 1203
	noPrivilege     = 1227
	userLimit       = 1226
	noSecureLogin   = 3159
	noRoutineRight  = 1370
	readOnly        = 1792
	overtimeMariaDB = 1969
	overtimeMySQL   = 3024
)

// advice is what to do about a number.
func (e explainer) advice(refused *driver.MySQLError) string {
	switch refused.Number {
	case tooMany, tooManyOfUser, userLimit:
		return "the server has no connection left for the user; raise max_connections or the user's limit"
	case accessDenied:
		advice := fmt.Sprintf("the server refused user %s or the password", e.user)
		if !e.secured {
			// MariaDB says no more than this where it demands TLS.
			advice += ", or it wants TLS (tls.enabled: true)"
		}
		return advice
	case noDatabaseRight:
		return fmt.Sprintf("user %s may not use the database; grant it with: GRANT SELECT ON %s.… TO %s", e.user, e.database, e.user)
	case noDatabase:
		return "the database does not exist"
	case notSQL:
		return "the query is not one valid statement"
	case noTableRight, noColumnRight, noPrivilege, noRoutineRight:
		return fmt.Sprintf("user %s may not read what the query reads; grant it with: GRANT SELECT ON … TO %s", e.user, e.user)
	case readOnly:
		return "the query writes, which a trigger may not"
	case noSecureLogin:
		return "the server refused a login without TLS; set tls.enabled: true"
	case overtimeMariaDB, overtimeMySQL:
		return "the query ran longer than the trigger's timeout and was cancelled"
	}
	return "the server refused"
}

// explain makes an error that tells a person what to do. The driver's own texts hold no password.
func (e explainer) explain(err error) error {
	var refused *driver.MySQLError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%s: %s", e.advice(refused), refused.Error())
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's certificate is of an authority that is not trusted; give its certificate as tls.caFrom: %s", err.Error())
	case errors.As(err, &name):
		return fmt.Errorf("the server's certificate is for another name; set tls.serverName: %s", err.Error())
	case errors.Is(err, driver.ErrNoTLS):
		return errors.New("the server does not offer TLS; turn it on there, or remove the tls parameters to send everything in plain text")
	case errors.Is(err, driver.ErrCleartextPassword), errors.Is(err, driver.ErrOldPassword), errors.Is(err, driver.ErrUnknownPlugin):
		return fmt.Errorf("user %s logs in by a method that is not supported; want caching_sha2_password, mysql_native_password or client_ed25519", e.user)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %s", err.Error())
	}
	return errors.New(err.Error())
}
