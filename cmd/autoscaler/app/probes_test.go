package app

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/go-logr/logr/funcr"
)

func TestReadinessSaysWhatIsBroken(t *testing.T) {
	var lines []string
	log := funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{})
	var broken error
	check := told(log, "webhook", func(*http.Request) error { return broken })
	for _, broken = range []error{nil, errors.New("no certificate yet"), errors.New("no certificate yet"), nil, nil} {
		if err := check(nil); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
	}
	want := []string{
		`"level"=0 "msg"="not ready: the API server cannot call the webhook of this replica, which scales its workloads all the same" "check"="webhook" "problem"="no certificate yet"`,
		`"level"=0 "msg"="ready" "check"="webhook"`,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("logged %q, want %q", lines, want)
	}
}
