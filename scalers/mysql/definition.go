package mysql

import (
	"fmt"
	"net"
	"strconv"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
	"autoscale.io/scalers/pool"
	"autoscale.io/scalers/sqlquery"
)

// interval is how often a query runs where nothing else is said: it costs a server more than a look at a stream does.
const interval = 15 * time.Second

// Definition makes the trigger type mysql. Triggers of one definition share their connections. A zero env has the strictest dialer.
func Definition(env scalers.Env) scalers.Definition { return definition(env, sqlquery.DefaultLimits()) }

func definition(env scalers.Env, limits sqlquery.Limits) scalers.Definition {
	o := &opener{env: env, limits: limits}
	return scalers.Define(scalers.Definition{
		TriggerType: annotations.TriggerType{Name: "mysql", Aliases: sqlquery.Aliases(), Interval: interval, Check: check},
		Doc: "Asks a MySQL or MariaDB server for a number: the answer of a query with one row and one column. The query runs in a read-only transaction that is rolled back, " +
			"through a small pool that all workloads of one database share.",
	}, o.open)
}

// opener holds what the triggers of one definition share.
type opener struct {
	env       scalers.Env
	limits    sqlquery.Limits
	databases pool.Pool[[32]byte, *sqlquery.Database]
}

func (o *opener) open(host scalers.Host, p *params) (scalers.Scaler, error) {
	s, c := resolve(p, nil)
	if err := c.Err(); err != nil {
		return nil, err
	}
	s.host = scalers.QualifyHost(s.host, host.Namespace)
	config, err := s.config(o.env)
	if err != nil {
		return nil, err
	}
	lease, err := o.databases.Get(s.identity(), func() (*sqlquery.Database, error) {
		connector, err := driver.NewConnector(config)
		if err != nil {
			return nil, fmt.Errorf("the driver refuses the parameters: %w", err)
		}
		return sqlquery.Open(connector, explainer{s.user, s.database, config.TLS != nil}.dialect(), o.limits), nil
	})
	if err != nil {
		return nil, err
	}
	return sqlquery.New(lease, &p.Params), nil
}

// config makes the driver's configuration. It does no I/O. What is not named here keeps the driver's default, which allows neither several statements, nor local
// files, nor passwords as plain text, nor a fallback to it.
func (s server) config(env scalers.Env) (*driver.Config, error) {
	config := driver.NewConfig()
	config.User, config.Passwd, config.DBName = s.user, s.password, s.database
	config.Net, config.Addr = "tcp", net.JoinHostPort(s.host, strconv.Itoa(int(s.port)))
	config.DialFunc = env.Dialer()
	// It would print what failed to where nobody redacts.
	config.Logger = &driver.NopLogger{}
	// Asking the server for its own size costs a round trip, and no answer of one number needs it.
	config.MaxAllowedPacket = maxPacket
	config.ConnectionAttributes = "program_name:autoscale.io"
	var err error
	config.TLS, err = s.tls.Config(s.host)
	return config, err
}

// maxPacket is the driver's own default, in bytes.
const maxPacket = 64 << 20
