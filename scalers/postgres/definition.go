package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"autoscale.io/annotations"
	"autoscale.io/scalers"
	"autoscale.io/scalers/pool"
	"autoscale.io/scalers/sqlquery"
)

// interval is how often a query runs where nothing else is said: it costs a server more than a look at a stream does.
const interval = 15 * time.Second

// Definition makes the trigger type postgres. Triggers of one definition share their connections. A zero env has the strictest dialer.
func Definition(env scalers.Env) scalers.Definition { return definition(env, sqlquery.DefaultLimits()) }

func definition(env scalers.Env, limits sqlquery.Limits) scalers.Definition {
	o := &opener{env: env, limits: limits}
	return scalers.Define(scalers.Definition{
		TriggerType: annotations.TriggerType{Name: "postgres", Aliases: sqlquery.Aliases(), Interval: interval, Check: check},
		Doc: "Asks a PostgreSQL server for a number: the answer of a query with one row and one column. The query runs in a read-only transaction that is rolled back, " +
			"through a small pool that all workloads of one database share; pgbouncer in transaction mode works as it is.",
		TypeAliases: map[string]map[string]string{"postgresql": nil},
	}, o.open)
}

// opener holds what the triggers of one definition share.
type opener struct {
	env       scalers.Env
	limits    sqlquery.Limits
	databases pool.Pool[[32]byte, *sqlquery.Database]
	listeners pool.Pool[[32]byte, *listener]
}

func (o *opener) open(host scalers.Host, p *params) (scalers.Scaler, error) {
	s, c := resolve(p, nil)
	if err := c.Err(); err != nil {
		return nil, err
	}
	s = s.qualified(host.Namespace)
	config, err := s.config(o.env)
	if err != nil {
		return nil, err
	}
	explainer := explainer{user: s.user, sslmode: s.sslmode}
	lease, err := o.databases.Get(s.identity(), func() (*sqlquery.Database, error) {
		return sqlquery.Open(connector{stdlib.GetConnector(*config)}, explainer.dialect(), o.limits), nil
	})
	if err != nil {
		return nil, err
	}
	reader := sqlquery.New(lease, &p.Params)
	if p.Listen == "" {
		return reader, nil
	}
	heard, err := o.listeners.Get(s.identity(), func() (*listener, error) {
		return newListener(config, explainer, lease.Value.Forget, o.limits.Age), nil
	})
	if err != nil {
		return nil, errors.Join(err, lease.Close())
	}
	return &listening{Scaler: reader, lease: heard, channel: p.Listen}, nil
}

// connector marks the connections that are asked for.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	return c.Connector.Connect(connecting(ctx))
}
