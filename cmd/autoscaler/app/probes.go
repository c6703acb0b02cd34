package app

import (
	"net/http"
	"sync"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// told makes a check of readiness say in the log what is broken, once, and when it is well again: to whoever asks over HTTP only its name is told.
func told(log logr.Logger, name string, check healthz.Checker) healthz.Checker {
	var (
		mu   sync.Mutex
		said string
	)
	return func(r *http.Request) error {
		err := check(r)
		mu.Lock()
		defer mu.Unlock()
		switch now := errorText(err); {
		case now == said:
		case err != nil:
			said = now
			log.Info("not ready: the API server cannot call the webhook of this replica, which scales its workloads all the same", "check", name, "problem", now)
		default:
			said = ""
			log.Info("ready", "check", name)
		}
		return err
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
