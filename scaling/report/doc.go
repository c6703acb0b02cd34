// Package report tells people what the autoscaler did and why: events on the workload, conditions in its status annotation, and metrics.
//
// It owns the words of events and conditions. It writes no replicas and decides nothing; who writes the annotation is package controller.
package report
