package redisstreams

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
)

// params are the trigger's parameters beside the common ones.
type params struct {
	Address          []string `name:"address" alias:"addresses" doc:"host:port of the server, of the sentinels, or of some nodes of the cluster. A host without a dot is a Service in the workload's namespace."`
	Hosts            []string `name:"hosts" alias:"host" doc:"Instead of address: the hosts alone, with as many ports."`
	Ports            []string `name:"ports" alias:"port" doc:"The ports of hosts, in the same order."`
	Mode             Mode     `name:"mode" default:"standalone" enum:"standalone,sentinel,cluster" doc:"How the server is reached."`
	Username         string   `name:"username" doc:"User of the server. When absent, the default user."`
	Password         string   `name:"password" secret:"true" doc:"Password of the user."`
	Database         int32    `name:"database" alias:"databaseIndex" default:"0" min:"0" doc:"Number of the database. A cluster has 0 alone."`
	SentinelMaster   string   `name:"sentinelMaster" doc:"The name that the sentinels know the master by. Required in mode sentinel."`
	SentinelUsername string   `name:"sentinelUsername" doc:"User of the sentinels themselves."`
	SentinelPassword string   `name:"sentinelPassword" secret:"true" doc:"Password for the sentinels themselves."`

	Stream         string        `name:"stream" required:"true" doc:"Key of the stream."`
	ConsumerGroup  string        `name:"consumerGroup" doc:"The consumer group whose work is counted. Without one, the stream's length is counted."`
	Measure        Measure       `name:"measure" enum:"backlog,lag,pending,length" doc:"What is counted: backlog, entries that the group has not read plus those it has not acknowledged; lag, those not read; pending, those not acknowledged; length, every entry of the stream. When absent, backlog with a consumerGroup and length without."`
	PendingTimeout time.Duration `name:"pendingTimeout" default:"1h" min:"0s" doc:"With measure lag: an entry that was read less than this ago and is not acknowledged is work in progress, and the workload is not taken to zero. 0s looks at none."`

	TLS scalers.TLS `name:"tls"`
}

// measure is what is counted, the default filled in.
func (p *params) measure(hasGroup bool) Measure {
	switch {
	case p.Measure != "":
		return p.Measure
	case hasGroup:
		return Backlog
	}
	return Length
}

// check looks at the parameters as a whole, at admission.
func check(in annotations.CheckInput) (problems, warnings []schema.Problem) {
	p := in.Params.(*params)
	c := checker{params: p, Findings: schema.Findings{Indirect: in.Indirect}}
	c.addresses()
	c.mode()
	c.measure(in.Settings)
	tlsProblems, tlsWarnings := p.TLS.Check("tls", in.Indirect)
	return append(c.Problems, tlsProblems...), append(c.Warnings, tlsWarnings...)
}

// checker looks at the parameters.
type checker struct {
	*params
	schema.Findings
}

const wantAddress = "want host:port, such as redis:6379"

// given says whether a list is there, by itself or by reference.
func (c *checker) given(param string, list []string) bool {
	return len(list) > 0 || c.Refers(param)
}

func (c *checker) addresses() {
	address := c.given("address", c.Address)
	if !c.addressForm(address, c.given("hosts", c.Hosts), c.given("ports", c.Ports)) {
		return
	}
	if c.Refers("address") || c.Refers("hosts") || c.Refers("ports") {
		return
	}
	if address {
		c.checkEndpoints("address")
		return
	}
	if len(c.Hosts) != len(c.Ports) {
		c.Problem("ports", fmt.Sprintf("got %d for %d hosts; want as many ports as hosts", len(c.Ports), len(c.Hosts)))
		return
	}
	c.checkEndpoints("hosts")
}

// addressForm says whether exactly one of the two forms of an address is given, whole.
func (c *checker) addressForm(address, hosts, ports bool) bool {
	switch {
	case address && (hosts || ports):
		c.Problem("address", "given beside hosts and ports; want one of the two forms")
	case !address && !hosts && !ports:
		c.Problem("address", "missing; "+wantAddress)
	case !address && !hosts:
		c.Problem("hosts", "missing; want as many hosts as ports")
	case !address && !ports:
		c.Problem("ports", "missing; want as many ports as hosts")
	default:
		return true
	}
	return false
}

func (c *checker) checkEndpoints(param string) {
	all := c.endpoints()
	for _, endpoint := range all {
		switch {
		case isEndpoint(endpoint):
		case strings.ContainsAny(endpoint, "@/"):
			// Not quoted: it may hold a password.
			c.Problem(param, "got a URL or a path, "+wantAddress+"; the user and the password go into username and password")
		default:
			c.Problem(param, fmt.Sprintf("got %s, %s", schema.Plain(endpoint), wantAddress))
		}
	}
	if c.Mode == Standalone && len(all) > 1 {
		c.Problem(param, fmt.Sprintf("got %d, want one; several are for mode cluster or sentinel", len(all)))
	}
}

// endpoints are the host:port, in whichever form they were given.
func (p *params) endpoints() []string {
	if len(p.Address) > 0 {
		return p.Address
	}
	all := make([]string, 0, len(p.Hosts))
	for i := range min(len(p.Hosts), len(p.Ports)) {
		all = append(all, net.JoinHostPort(strings.Trim(p.Hosts[i], "[]"), p.Ports[i]))
	}
	return all
}

func isEndpoint(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || strings.ContainsAny(host, "/@ ") {
		return false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}

func (c *checker) mode() {
	if c.Mode == Sentinel && c.SentinelMaster == "" && !c.Refers("sentinelMaster") {
		c.Problem("sentinelMaster", "missing; want the name that the sentinels know the master by")
	}
	if c.Mode != Sentinel {
		for _, given := range []struct{ param, value string }{
			{"sentinelMaster", c.SentinelMaster}, {"sentinelUsername", c.SentinelUsername}, {"sentinelPassword", c.SentinelPassword},
		} {
			if given.value != "" || c.Refers(given.param) {
				c.Problem(given.param, fmt.Sprintf("has no meaning in mode %s; want mode: sentinel", c.Mode))
			}
		}
	}
	if c.Mode == Cluster && c.Database != 0 {
		c.Problem("database", fmt.Sprintf("got %d, want 0; a cluster has no other", c.Database))
	}
	c.logins()
}

func (c *checker) logins() {
	if c.Username != "" && c.Password == "" && !c.Refers("password") {
		c.Problem("password", "missing; want the password of username")
	}
	if c.SentinelUsername != "" && c.SentinelPassword == "" && !c.Refers("sentinelPassword") {
		c.Problem("sentinelPassword", "missing; want the password of sentinelUsername")
	}
}

func (c *checker) measure(settings annotations.Settings) {
	if c.Refers("measure") {
		return
	}
	hasGroup := c.ConsumerGroup != "" || c.Refers("consumerGroup")
	measure := c.params.measure(hasGroup)
	if measure != Length && !hasGroup {
		c.Problem("consumerGroup", fmt.Sprintf("missing; measure %s counts the work of a consumer group", measure))
	}
	switch measure {
	case Length:
		c.Warn("measure", "length counts every entry that the stream keeps, read or not, and falls only when entries are deleted or trimmed; backlog counts the work of a consumerGroup")
	case Pending:
		idlesAtZero := settings.MinReplicas == 0 || (settings.IdleReplicas != nil && *settings.IdleReplicas == 0)
		if idlesAtZero {
			c.Problem("measure", "got pending with a workload that may go to zero, which it could not wake: nothing becomes pending until somebody reads; want backlog, or min-replicas ≥ 1")
			return
		}
		c.Warn("measure", "pending never exceeds what the consumers hold, however many entries wait; backlog counts both")
	}
}
