package sqlquery

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// Dialect is how a kind of database differs from the others. Every field is needed.
type Dialect struct {
	// Setup is a statement that bounds the query in time on the server's side; it runs in the same transaction. It holds nothing that a user wrote.
	Setup func(timeout time.Duration) string
	// Numeric says whether a type of the driver's, such as FLOAT8, is one of numbers.
	Numeric func(databaseType string) bool
	// Again says whether a query that failed so is worth another try at once.
	Again func(error) bool
	// Explain makes an error of the driver one that tells a person what to do. It quotes no password.
	Explain func(error) error
}

// Limits bound a pool.
type Limits struct {
	// Connections is how many there are at most, > 0.
	Connections int
	// Idle closes a connection that was not used for this long. It is shorter than what firewalls and servers forget after.
	Idle time.Duration
	// Age closes a connection after this long, so that a name which now leads elsewhere, as after a failover, is noticed.
	Age time.Duration
}

// DefaultLimits are those of the product: with one more connection that listens, a database sees four at most.
func DefaultLimits() Limits {
	return Limits{Connections: 3, Idle: time.Minute, Age: 2 * time.Minute}
}

// Database is a server, a user and a database on it, shared by all who ask it.
type Database struct {
	db      *sql.DB
	dialect Dialect
	flights flights
}

// Open makes a database. It does no I/O.
func Open(connector driver.Connector, dialect Dialect, limits Limits) *Database {
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(limits.Connections)
	db.SetMaxIdleConns(limits.Connections)
	db.SetConnMaxIdleTime(limits.Idle)
	db.SetConnMaxLifetime(limits.Age)
	return &Database{db: db, dialect: dialect}
}

// Close ends every connection.
func (d *Database) Close() error { return d.db.Close() }

// Forget makes later reads ask anew instead of joining a query that is under way: what changed just now may not be in its answer.
func (d *Database) Forget() { d.flights.forget() }

// read asks the query, together with everybody who is asking the same at this moment.
func (d *Database) read(ctx context.Context, query string) (answer, error) {
	found, err := d.flights.join(ctx, query, func(ctx context.Context) (answer, error) {
		found, err := d.ask(ctx, query)
		if err != nil && ctx.Err() == nil && d.dialect.Again(err) {
			found, err = d.ask(ctx, query)
		}
		return found, err
	})
	if err == nil {
		return found, nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return answer{}, fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	return answer{}, d.dialect.Explain(err)
}

// ask runs the query once, in a transaction of its own.
func (d *Database) ask(ctx context.Context, query string) (answer, error) {
	// Cancelling closes the connection, whatever is still on its way; it is how an answer without end is left.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tx, err := d.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return answer{}, withCause(ctx, err)
	}
	found, err := d.askIn(ctx, cancel, tx, query)
	// A connection that cannot even roll back is not used again, and the answer is as good without.
	_ = tx.Rollback()
	return found, withCause(ctx, err)
}

func (d *Database) askIn(ctx context.Context, leave context.CancelFunc, tx *sql.Tx, query string) (found answer, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		if _, err := tx.ExecContext(ctx, d.dialect.Setup(serverTimeout(time.Until(deadline)))); err != nil {
			return answer{}, err
		}
	}
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return answer{}, err
	}
	found, err = readOne(rows, d.dialect.Numeric)
	if errors.Is(err, errManyRows) {
		leave()
	}
	if closing := rows.Close(); err == nil {
		err = closing
	}
	return found, err
}

// serverTimeout leaves the server's refusal the time to arrive before the client gives the connection up.
func serverTimeout(left time.Duration) time.Duration {
	const margin = 100 * time.Millisecond
	return max(left-min(margin, left/10), time.Millisecond)
}

// withCause tells an end of the deadline from what a driver made of it.
func withCause(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}
