package annotations_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
)

// A program that makes manifests builds the workload and writes it onto the object.
func ExampleWorkload_ApplyTo() {
	orders := annotations.NewTrigger("orders", "queue", 10, map[string]string{
		"address": "redis:6379",
		"stream":  "{shop}:orders",
	})
	orders.Refs = schema.Refs{"password": {Secret: "redis", Key: "password"}}
	workload := annotations.New(0, 50, orders)
	workload.Cooldown = 10 * time.Minute

	var worker appsv1.Deployment
	workload.ApplyTo(&worker)

	for _, key := range slices.Sorted(maps.Keys(worker.Annotations)) {
		fmt.Printf("%s: %s\n", key, worker.Annotations[key])
	}
	// Output:
	// autoscale.io/cooldown: 10m
	// autoscale.io/max-replicas: 50
	// autoscale.io/min-replicas: 0
	// autoscale.io/trigger.orders: {address: "redis:6379", passwordFrom: {secret: redis, key: password}, stream: "{shop}:orders", target: 10, type: queue}
}

// All faults come at once, each with the key, what was given and what was wanted.
func ExampleDecode() {
	result := annotations.Decode(map[string]string{
		"autoscale.io/min-replicas":   "-1",
		"autoscale.io/trigger.orders": "{type: queue, address: redis, stream: orders, traget: 10}",
	}, types{})
	for _, fault := range result.Faults {
		fmt.Println(fault)
	}
	// Output:
	// autoscale.io/max-replicas: missing; want a whole number ≥ 1
	// autoscale.io/min-replicas: got "-1", want a whole number ≥ 0
	// autoscale.io/trigger.orders: target: missing; want a number > 0
	// autoscale.io/trigger.orders: unknown parameter traget; did you mean target?
}
