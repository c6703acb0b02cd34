package rights

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"autoscale.io/e2e/product"
)

const (
	// stroke is the time between two stirs.
	stroke = 300 * time.Millisecond
	// settle is how long after the last refusal of a round another one is waited for.
	settle = 15 * stroke
	// patience is how long a right may take to be used, or missed.
	patience = 90 * time.Second
)

// onUsage is the role that triggers on cpu and memory need, and onJobs and onSpawn those of Jobs. They overlap, so each is proven without the other.
const onUsage, onJobs, onSpawn = "autoscaler-resources", "autoscaler-jobs", "autoscaler-spawn"

func TestSoakRights(t *testing.T) {
	// Where the API server streams a list as a watch, the right to list is not used. Older ones do not, so the tour is one of lists and watches.
	t.Setenv("KUBE_FEATURE_WatchListClient", "false")
	l := newLab(t)
	l.stops(t)
	l.usage(t)
	if !t.Run("a tour uses every right and is refused none", l.wholeTour) {
		return
	}
	l.endUsage(t)
	t.Run("each right is missed", func(t *testing.T) { l.prove(t, func(role string) bool { return role != onUsage }) })
	l.usage(t)
	t.Run("each right to usage is missed", func(t *testing.T) { l.prove(t, func(role string) bool { return role == onUsage }) })
}

// await stirs until done.
func (l *lab) await(t *testing.T, done func() (bool, error)) error {
	t.Helper()
	return wait.PollUntilContextTimeout(t.Context(), stroke, patience, true, func(context.Context) (bool, error) {
		l.stir(t)
		return done()
	})
}

func (l *lab) wholeTour(t *testing.T) {
	unused := map[Grant]string{}
	for _, role := range l.roles {
		for _, g := range role.Grants {
			unused[g] = role.Name
		}
	}
	l.launch(t)
	err := l.await(t, func() (bool, error) {
		requests, err := l.log.Read()
		for _, r := range requests {
			if r.Denied {
				t.Errorf("the autoscaler was refused: %s in namespace %q", r.Grant, r.Namespace)
			}
			if (r.Resource == "secrets" || r.Resource == "configmaps") && r.Verb != "get" && r.Namespace != product.Namespace {
				t.Errorf("the autoscaler has tried to %s in namespace %q; want nothing but get there", r.Grant, r.Namespace)
			}
			for _, g := range Serving(l.grants(), r.Grant) {
				delete(unused, g)
			}
		}
		return len(unused) == 0, err
	})
	l.kill(t)
	if err != nil {
		t.Errorf("%v; the tour has not used these rights; drop them from the manifests, or lead the tour past what needs them:\n%s", err, list(unused))
	}
}

func list(grants map[Grant]string) string {
	var lines []string
	for g, role := range grants {
		lines = append(lines, fmt.Sprintf("  %s (%s)", g, role))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// prove takes all rights of some roles away and gives each back once its absence was seen, since one that is missed first hides what comes after it. Of the roles that
// overlap with those, nothing is granted.
func (l *lab) prove(t *testing.T, asked func(role string) bool) {
	missing := map[Grant]string{}
	for _, role := range l.roles {
		for _, g := range role.Grants {
			if asked(role.Name) {
				missing[g] = role.Name
			}
		}
	}
	others := []string{onUsage}
	if asked(onUsage) {
		others = []string{onJobs, onSpawn}
	}
	for len(missing) > 0 {
		err := l.grant(t.Context(), func(role Role, g Grant) bool {
			_, taken := missing[g]
			return !taken && !slices.Contains(others, role.Name)
		})
		if err != nil {
			t.Fatal(err)
		}
		l.fresh(t)
		missed := l.round(t, missing)
		if len(missed) == 0 {
			t.Fatalf("nothing is refused within %s without these rights, so they are not needed:\n%s", patience, list(missing))
		}
		for g := range missed {
			delete(missing, g)
		}
		t.Logf("missed:\n%s", list(missed))
	}
}

// round runs the autoscaler until it was refused something that it lacks, and for a moment longer.
func (l *lab) round(t *testing.T, missing map[Grant]string) map[Grant]string {
	t.Helper()
	if _, err := l.log.Read(); err != nil { // what was before
		t.Fatal(err)
	}
	l.launch(t)
	missed := map[Grant]string{}
	last := time.Now()
	err := l.await(t, func() (bool, error) {
		requests, err := l.log.Read()
		for _, r := range requests {
			for _, g := range Serving(l.grants(), r.Grant) {
				role, taken := missing[g]
				if _, seen := missed[g]; r.Denied && taken && !seen {
					missed[g], last = role, time.Now()
				}
			}
		}
		return len(missed) == len(missing) || len(missed) > 0 && time.Since(last) > settle, err
	})
	if err != nil && !wait.Interrupted(err) {
		t.Fatal(err)
	}
	l.kill(t)
	return missed
}
