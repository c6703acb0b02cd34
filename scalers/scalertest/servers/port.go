package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// loopback is the only address that servers of this package listen on.
const loopback = "127.0.0.1"

// portAttempts is how often a start is tried again because somebody else took the port between its choice and its use.
const portAttempts = 5

// pollEvery is the pause between two looks at a server that is not there yet.
const pollEvery = 10 * time.Millisecond

// anywhere tries a start on free ports until one is not taken meanwhile; port is where the start finds it.
func anywhere(port *int, start func() error) (err error) {
	for range portAttempts {
		if *port, err = freePort(); err != nil {
			return err
		}
		if err = start(); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

// errPortTaken tells a start that another port may do.
var errPortTaken = errors.New("the port is taken")

// freePort returns a loopback port that nobody listens on at this moment.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}

// address joins the loopback address and a port.
func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// waitFor polls the condition until it returns nil or the context ends; then the error says what was waited for and what was last seen.
func waitFor(ctx context.Context, what string, condition func(context.Context) error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil || errors.Is(err, errPortTaken) {
			return err
		}
		var final finalError
		if errors.As(err, &final) {
			return fmt.Errorf("%s: %w", what, final.error)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; last seen: %w", what, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// finalError ends a wait: what is waited for cannot happen any more.
type finalError struct{ error }
