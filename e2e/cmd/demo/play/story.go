package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	cpuStory    = "cpu"
	maxReplicas = 10
)

// story is what is shown: a Deployment that is annotated, and what happens to it then.
type story struct {
	workload string
	// settings are the annotations without their prefix, in the order in which they are shown.
	settings [][2]string
	// prepare creates the Deployment and what it needs.
	prepare func(context.Context) error
	// pods does the work of the pods until its context ends.
	pods   func(context.Context)
	level  level
	scenes []scene
	// finish checks what can be known only at the end, and returns the last line.
	finish func() (string, error)
	// try names things to try, each with a command.
	try [][2]string
}

// level is what the Deployment is scaled on.
type level struct {
	title string
	// block is how much one block of the bar stands for.
	block int64
	read  func(context.Context) (int64, error)
}

// scene is something that is done, and what has to come of it within a time.
type scene struct {
	title  string
	act    func(context.Context) error
	want   string
	within time.Duration
	done   func(snapshot) bool
}

func (s *stage) story() story {
	if s.options.story == cpuStory {
		return s.cpuStory()
	}
	return s.queueStory()
}

// play tells the story. What does the pods' work goes on in the background until ctx ends.
func (s *stage) play(ctx context.Context, told story, background *sync.WaitGroup) error {
	if err := told.prepare(ctx); err != nil {
		return err
	}
	if err := s.annotate(ctx, told); err != nil {
		return err
	}
	view := newView(s, told)
	background.Go(func() { told.pods(ctx) })
	background.Go(func() { view.watch(ctx) })
	for _, scene := range told.scenes {
		say("%s", scene.title)
		if err := scene.act(ctx); err != nil {
			return err
		}
		if err := view.await(ctx, scene.within, scene.done); err != nil {
			return fmt.Errorf("%s: want %s: %w", scene.title, scene.want, err)
		}
	}
	last, err := told.finish()
	if err == nil {
		say("%s", last)
	}
	return err
}

// annotate does what a user would do, and shows it.
func (s *stage) annotate(ctx context.Context, told story) error {
	say("A plain Deployment is annotated: kubectl annotate deployment %s \\", told.workload)
	annotations := map[string]string{}
	for _, setting := range told.settings {
		annotations["autoscale.io/"+setting[0]] = setting[1]
		fmt.Printf("    autoscale.io/%s='%s'\n", setting[0], setting[1])
	}
	return s.patch(ctx, told.workload, annotations)
}

// patch writes annotations of a Deployment as kubectl annotate does.
func (s *stage) patch(ctx context.Context, name string, annotations map[string]string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	options := metav1.PatchOptions{FieldManager: "kubectl-annotate"}
	if _, err := s.kube.AppsV1().Deployments(namespace).Patch(ctx, name, types.MergePatchType, patch, options); err != nil {
		return fmt.Errorf("annotate the Deployment: %w", err)
	}
	return nil
}

// repeat does something again and again until ctx ends. An error is shown once, not each time.
func repeat(ctx context.Context, every time.Duration, who string, do func(context.Context) error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	shown := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		failed := ""
		if err := do(ctx); err != nil {
			failed = err.Error()
		}
		if failed != "" && failed != shown && ctx.Err() == nil {
			fmt.Printf("  %s: %s\n", who, failed)
		}
		shown = failed
	}
}
