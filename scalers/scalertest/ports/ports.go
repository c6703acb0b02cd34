// Package ports reserves loopback ports for the servers that tests and demonstrations start.
//
// A port that was found free and let go is anybody's until its server binds it, and again whenever that server restarts: now and then an outgoing connection or
// another search for a port takes it. So a reserved port stays bound, without listening. Linux then gives it to nobody who does not ask for it by number, and still
// lets a server that does bind it, if both set SO_REUSEADDR: listeners of Go, Redis, Postgres, PgBouncer and MariaDB do.
//
// The package owns the sockets that hold the ports, and knows nothing of who listens there.
package ports

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// Loopback is the address of every port.
const Loopback = "127.0.0.1"

// Port is a TCP port of the loopback address that was free when it was reserved. Connections to it are refused until somebody listens there.
type Port struct {
	number  int
	release func()
}

// Reserve finds a free port and holds it until Release or the end of the process. Other systems than Linux would refuse the port to its server, so there it is let
// go at once.
func Reserve() (*Port, error) {
	socket, number, err := bind()
	if err != nil {
		return nil, fmt.Errorf("reserve a port of %s: %w", Loopback, err)
	}
	p := &Port{number: number, release: sync.OnceFunc(func() { _ = syscall.Close(socket) })}
	if runtime.GOOS != "linux" {
		p.Release()
	}
	return p, nil
}

// bind takes a port of the system's choice.
func bind() (socket, number int, err error) {
	// The lock keeps a program that is started meanwhile from inheriting the socket.
	syscall.ForkLock.RLock()
	socket, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, 0, err
	}
	if number, err = bindTo(socket); err != nil {
		_ = syscall.Close(socket)
	}
	return socket, number, err
}

func bindTo(socket int) (number int, err error) {
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte(net.ParseIP(Loopback).To4())}); err != nil {
		return 0, err
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		return 0, err
	}
	return name.(*syscall.SockaddrInet4).Port, nil
}

// Number is the port's number, 1 to 65535.
func (p *Port) Number() int { return p.number }

// Digits is the port's number as text.
func (p *Port) Digits() string { return strconv.Itoa(p.number) }

// String is host:port.
func (p *Port) String() string { return net.JoinHostPort(Loopback, p.Digits()) }

// Release lets the port go, which is for whoever's server has ended for good. It may be called twice.
func (p *Port) Release() { p.release() }
