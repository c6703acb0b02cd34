package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"math"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
	"autoscale.io/scalers/pool"
)

// clients are shared by all triggers that name the same server, user and trust.
type clients = pool.Pool[[32]byte, *server]

// Definition makes the trigger type redis-streams. Triggers of one definition share their connections. A zero env has the strictest dialer.
func Definition(env scalers.Env) scalers.Definition {
	shared := &clients{}
	return scalers.Define(scalers.Definition{
		TriggerType: annotations.TriggerType{
			Name: "redis-streams",
			Aliases: map[string]annotations.Alias{
				"pendingEntriesCount": {For: "target", Implies: map[string]string{"measure": string(Pending)}},
				"streamLength":        {For: "target", Implies: map[string]string{"measure": string(Length)}},
				"lagCount":            {For: "target", Implies: map[string]string{"measure": string(Lag)}},
				"activationLagCount":  {For: "activation"},
			},
			Check: check,
		},
		Doc: "Counts the work that waits in a Redis stream, on one server, behind Sentinel or in a Cluster. " +
			"What a consumer group has left is proved from the stream itself, since the server's own lag is nil or wrong after XDEL, XTRIM and groups made with $.",
		TypeAliases: map[string]map[string]string{
			"redis-cluster-streams":  {"mode": string(Cluster)},
			"redis-sentinel-streams": {"mode": string(Sentinel)},
		},
	}, func(host scalers.Host, p *params) (scalers.Scaler, error) { return open(env, shared, host, p) })
}

// scaler reads one trigger.
type scaler struct {
	counter *Counter
	lease   *pool.Lease[*server]
}

func open(env scalers.Env, shared *clients, host scalers.Host, p *params) (scalers.Scaler, error) {
	// Once more, as references are resolved now. What depends on the workload was checked at admission.
	c := checker{params: p}
	c.addresses()
	c.mode()
	tlsProblems, _ := p.TLS.Check("tls", nil)
	if err := faults(append(c.Problems, tlsProblems...)); err != nil {
		return nil, err
	}
	options, err := p.client(env, host)
	if err != nil {
		return nil, err
	}
	lease, err := shared.Get(p.identity(options), func() (*server, error) { return newServer(options), nil })
	if err != nil {
		return nil, err
	}
	s := &scaler{lease: lease, counter: newCounter(lease.Value.batch, Query{
		Stream: p.Stream, Group: p.ConsumerGroup, Measure: p.measure(p.ConsumerGroup != ""),
		PendingTimeout: p.PendingTimeout, Limit: limit(host), User: p.Username,
	})}
	if s.counter.query.Measure == Pending { // what is pending changes as entries are read, not as they come
		return s, nil
	}
	bell, err := lease.Value.bell(p.Stream)
	if err != nil { // there are too many, which costs this one its waking and nothing else
		return s, nil //nolint:nilerr // see above
	}
	return &waking{scaler: s, bell: bell}, nil
}

func faults(problems []schema.Problem) error {
	var errs []error
	for _, problem := range problems {
		errs = append(errs, errors.New(problem.String()))
	}
	return errors.Join(errs...)
}

func (p *params) client(env scalers.Env, host scalers.Host) (ClientOptions, error) {
	config, err := p.TLS.Config("")
	if err != nil {
		return ClientOptions{}, err
	}
	var addresses []string
	for _, endpoint := range p.endpoints() {
		addresses = append(addresses, scalers.QualifyHost(endpoint, host.Namespace))
	}
	return ClientOptions{
		Mode: p.Mode, Addresses: addresses, Username: p.Username, Password: p.Password, Database: int(p.Database),
		SentinelMaster: p.SentinelMaster, SentinelUsername: p.SentinelUsername, SentinelPassword: p.SentinelPassword,
		TLS: config, Dial: env.Dialer(),
	}, nil
}

// identity is the key that triggers share a client by: everything that says which server it is, who asks, and whom is trusted.
func (p *params) identity(o ClientOptions) [32]byte {
	parts := []string{
		string(o.Mode), fmt.Sprint(len(o.Addresses)), o.Username, o.Password, fmt.Sprint(o.Database),
		o.SentinelMaster, o.SentinelUsername, o.SentinelPassword,
	}
	parts = append(parts, o.Addresses...)
	return pool.Key(append(parts, p.TLS.Identity()...)...)
}

// limit is the count beyond which more entries change nothing: every replica has its share, and the trigger is active.
func limit(host scalers.Host) int64 {
	enough := max(math.Ceil(float64(host.MaxReplicas)*host.Trigger.Target), math.Floor(host.Trigger.Activation)) + 1
	if enough >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(enough)
}

var _ scalers.Starter = (*scaler)(nil)

// Read implements scalers.Scaler.
func (s *scaler) Read(ctx context.Context) (scalers.Reading, error) {
	count, err := s.counter.Count(ctx)
	return count.reading(), err
}

// Start implements scalers.Starter.
func (s *scaler) Start(ctx context.Context, answered func(func() (scalers.Reading, bool, error))) {
	s.counter.start(ctx, func(conclude func() (Count, bool, error)) {
		answered(func() (scalers.Reading, bool, error) {
			count, whole, err := conclude()
			return count.reading(), whole, err
		})
	})
}

func (c Count) reading() scalers.Reading {
	return scalers.Reading{Value: float64(c.Value), Busy: c.Busy, Note: c.Note}
}

// Close lets go of the shared connections.
func (s *scaler) Close() error { return s.lease.Close() }
