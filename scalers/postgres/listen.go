package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"autoscale.io/scalers"
	"autoscale.io/scalers/pool"
	"autoscale.io/scalers/sqlquery"
)

const (
	// openWithin bounds the login of the connection that listens, and aliveWithin each question to the server.
	openWithin  = 10 * time.Second
	aliveWithin = 5 * time.Second
	// aliveEvery is how often a silent connection is asked whether it is still there.
	aliveEvery = 30 * time.Second
)

// listening is a scaler whose database says when work arrives.
type listening struct {
	*sqlquery.Scaler

	lease   *pool.Lease[*listener]
	channel string
}

var _ scalers.Waker = (*listening)(nil)

// Watch implements scalers.Waker.
func (l *listening) Watch(wake func(), broken func(error)) (stop func()) {
	sub := &subscription{channel: l.channel, wake: wake, broken: broken}
	l.lease.Value.add(sub)
	return func() { l.lease.Value.remove(sub) }
}

// Close lets go of the shared connections.
func (l *listening) Close() error { return errors.Join(l.lease.Close(), l.Scaler.Close()) }

// listener is one connection that listens for all triggers of a database. It is open while anybody listens.
type listener struct {
	config *pgx.ConnConfig
	explainer
	// heard is called for each notification before anybody is woken.
	heard func()
	// age is how old the connection may become, so that a failover is noticed.
	age time.Duration

	running sync.WaitGroup
	mu      sync.Mutex
	subs    map[*subscription]struct{}
	closed  bool
	// changed ends the present wait for a notification, and stop the connection; both are nil when there is none.
	changed, stop context.CancelFunc
}

// subscription is somebody who listens to a channel. Neither of its functions is called with the listener's lock held.
type subscription struct {
	channel string
	wake    func()
	// broken is told why listening has ended without a call of remove.
	broken func(error)
	// greeted says that the channel was listened to since the subscription came, or since the connection was opened.
	greeted bool
}

func newListener(config *pgx.ConnConfig, e explainer, heard func(), age time.Duration) *listener {
	return &listener{config: config, explainer: e, heard: heard, age: age, subs: map[*subscription]struct{}{}}
}

// Close returns when the connection is closed.
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	stop := l.stop
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
	l.running.Wait()
	return nil
}

// add listens for a subscription until remove, or until the connection breaks.
func (l *listener) add(sub *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subs[sub] = struct{}{}
	if l.stop == nil {
		l.start()
		return
	}
	if l.changed != nil {
		l.changed()
	}
}

// start opens the connection, under the lock.
func (l *listener) start() {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.running.Go(func() { l.run(ctx) })
}

func (l *listener) remove(sub *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.subs, sub)
	switch {
	case len(l.subs) == 0 && l.stop != nil:
		l.stop()
	case l.changed != nil:
		l.changed()
	}
}

// run keeps the connection until it breaks or nobody listens; then whoever does is told and may come again.
func (l *listener) run(ctx context.Context) {
	var err error
	for err == nil {
		err = l.connection(ctx)
	}
	for _, sub := range l.leave(ctx.Err() != nil) {
		sub.broken(err)
	}
}

// leave ends the goroutine of the connection, and returns the subscriptions that break with it: none if it was told to end.
func (l *listener) leave(told bool) []*subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
	l.stop, l.changed = nil, nil
	if told {
		if !l.closed && len(l.subs) > 0 { // somebody came while the last one left
			l.start()
		}
		return nil
	}
	broken := slices.Collect(maps.Keys(l.subs))
	clear(l.subs)
	return broken
}

// connection serves one connection. It returns nil when the connection is old enough to be opened anew.
func (l *listener) connection(ctx context.Context) error {
	opening, cancel := context.WithTimeout(connecting(ctx), openWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(opening, l.config)
	if err != nil {
		return l.explain(err)
	}
	defer closeConn(conn)
	l.greetAgain()
	channels := map[string]bool{}
	for end := time.Now().Add(l.age); time.Now().Before(end); {
		if err := l.subscribe(ctx, conn, channels); err != nil {
			return l.explain(err)
		}
		wait, cancel := context.WithTimeout(ctx, min(aliveEvery, time.Until(end)))
		if l.settled(cancel, channels) {
			err = l.notifications(wait, conn)
		}
		silent := errors.Is(wait.Err(), context.DeadlineExceeded)
		cancel()
		if err == nil && silent {
			err = ping(ctx, conn)
		}
		if err != nil {
			return fmt.Errorf("the connection that listens broke: %w", l.explain(err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	// It is given up in any case.
	_ = conn.Close(ctx)
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	return conn.Ping(ctx)
}

// greetAgain forgets who was greeted: what was sent while there was no connection is lost.
func (l *listener) greetAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for sub := range l.subs {
		sub.greeted = false
	}
}

// wanted are the channels that somebody listens to.
func (l *listener) wanted() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	channels := map[string]bool{}
	for sub := range l.subs {
		channels[sub.channel] = true
	}
	return channels
}

// subscribe makes the server send what is wanted and no more, and wakes the newcomers.
func (l *listener) subscribe(ctx context.Context, conn *pgx.Conn, channels map[string]bool) error {
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	wanted := l.wanted()
	for channel := range wanted {
		if !channels[channel] {
			if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{channel}.Sanitize()); err != nil {
				return err
			}
			channels[channel] = true
		}
	}
	for channel := range channels {
		if !wanted[channel] {
			if _, err := conn.Exec(ctx, "unlisten "+pgx.Identifier{channel}.Sanitize()); err != nil {
				return err
			}
			delete(channels, channel)
		}
	}
	for _, sub := range l.each(func(sub *subscription) bool { return channels[sub.channel] && !sub.greeted }) {
		sub.wake()
	}
	return nil
}

// each returns the subscriptions that fit, and marks them as greeted.
func (l *listener) each(fits func(*subscription) bool) []*subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*subscription
	for sub := range l.subs {
		if fits(sub) {
			sub.greeted = true
			all = append(all, sub)
		}
	}
	return all
}

// settled arms the end of a wait and says whether the channels are still those that are wanted.
func (l *listener) settled(changed context.CancelFunc, channels map[string]bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = changed
	wanted := map[string]bool{}
	for sub := range l.subs {
		if !channels[sub.channel] || !sub.greeted {
			return false
		}
		wanted[sub.channel] = true
	}
	return len(wanted) == len(channels)
}

// notifications wakes whoever listens until the wait ends, which is no error.
func (l *listener) notifications(ctx context.Context, conn *pgx.Conn) error {
	for {
		heard, err := conn.WaitForNotification(ctx)
		switch {
		case err != nil && ctx.Err() != nil && !conn.IsClosed():
			return nil
		case err != nil:
			return err
		}
		l.heard()
		for _, sub := range l.each(func(sub *subscription) bool { return sub.channel == heard.Channel }) {
			sub.wake()
		}
	}
}
