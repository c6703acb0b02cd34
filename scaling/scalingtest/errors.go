package scalingtest

import (
	"sync"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// noErrorPause takes out what client-go does after each error that it reports, which is to sleep until a millisecond
// after the last one. The last one is a time of the whole process: in virtual time it lies up to decades ahead, so that
// a watch that failed once would never be tried again.
var noErrorPause = sync.OnceFunc(func() { //nolint:gochecknoglobals // what it changes is global as well
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1] // the first one logs
})
