package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"autoscale.io/scaling/controller"
)

// parseKinds finds the kinds that --kinds names. A custom kind that is not served is absent: its definition may be installed later, and everything else is to be
// managed meanwhile. That a kind of Kubernetes itself is not served is an error.
func parseKinds(texts []string, mapper meta.RESTMapper) (kinds []controller.Kind, absent []string, err error) {
	for _, text := range texts {
		kind, err := controller.ParseKind(text, mapper)
		switch {
		case err == nil:
			kinds = append(kinds, kind)
		case meta.IsNoMatchError(err) && isCustom(text):
			absent = append(absent, text)
		default:
			return nil, nil, fmt.Errorf("--kinds: %w", err)
		}
	}
	return kinds, absent, nil
}

// isCustom says whether RESOURCE.GROUP is in a group that only a definition can bring.
func isCustom(text string) bool {
	group := schema.ParseGroupResource(text).Group
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}

// kindsInterval is the time between two looks for kinds that are absent.
const kindsInterval = 15 * time.Second

// awaitKinds returns what waits for the absent kinds and has each managed from when it is served.
func (w *wiring) awaitKinds(mapper meta.RESTMapper, log logr.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		if len(w.absent) > 0 {
			log.Info("the API server does not serve these kinds of --kinds yet; each is managed from when it is", "kinds", w.absent)
		}
		for len(w.absent) > 0 && sleep(ctx, wait.Jitter(kindsInterval, 0.2)) {
			kinds, absent, err := parseKinds(w.absent, mapper)
			if err != nil {
				log.Info("cannot look for the kinds that are not served yet; it is tried again", "error", err.Error())
				continue
			}
			if w.absent = absent; len(kinds) > 0 {
				w.Served.Invalidate()
			}
			for _, kind := range kinds {
				log.Info("a kind of --kinds is served now and managed", "kind", kind.String())
				w.loop.AddKind(kind)
			}
		}
		return nil
	}
}

// sleep says whether d went by before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
