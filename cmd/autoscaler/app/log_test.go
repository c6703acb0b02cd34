package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// logLevel is the variable that tells a process of TestEverythingWritesToOneLog its level.
const logLevel = "AUTOSCALER_TEST_LOG_LEVEL"

// TestMain checks that nothing of an autoscaler goes on after its end. controller-runtime asks for a log once in a process.
func TestMain(m *testing.M) {
	if os.Getenv(logLevel) == "" {
		ctrl.SetLogger(logr.Discard())
	}
	goleak.VerifyTestMain(m)
}

// The log is set for the whole process, so each level gets a process of its own, which is this test again.
func TestEverythingWritesToOneLog(t *testing.T) {
	if level := os.Getenv(logLevel); level != "" {
		writeLog(t, level)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for level, want := range map[string]string{
		"debug": "level=DEBUG msg=detail\na=1 level=INFO logger=loop msg=scaled\nerr=broken level=ERROR msg=failed\nlevel=INFO msg=of a client\nlevel=INFO msg=of a controller\n" +
			"level=DEBUG logger=redis msg=3 retries\n",
		"info":  "a=1 level=INFO logger=loop msg=scaled\nerr=broken level=ERROR msg=failed\nlevel=INFO msg=of a client\nlevel=INFO msg=of a controller\n",
		"error": "err=broken level=ERROR msg=failed\n",
	} {
		var stderr bytes.Buffer
		child := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$")
		child.Env, child.Stderr = append(os.Environ(), logLevel+"="+level), &stderr
		if output, err := child.Output(); err != nil {
			t.Fatalf("%s: %v: %s%s", level, err, output, stderr.String())
		}
		got := ""
		for line := range bytes.Lines(stderr.Bytes()) {
			got += sorted(t, line) + "\n"
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", level, got, want)
		}
	}
}

// writeLog makes the parts of a process write to the log. Run, which sets it first, ends at once without a kubeconfig.
func writeLog(t *testing.T, level string) {
	t.Helper()
	const want = "find the API server: stat /not/there: no such file or directory"
	if err := Run(t.Context(), *parsed(t, "--log-level="+level, "--kubeconfig=/not/there")); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	log, err := parsed(t, "--log-level="+level).startLog()
	if err != nil {
		t.Fatal(err)
	}
	log.V(4).Info("detail")
	log.WithName("loop").Info("scaled", "a", 1)
	log.Error(errors.New("broken"), "failed")
	klog.Background().Info("of a client")
	ctrl.Log.Info("of a controller")
	quietly{log.WithName("redis")}.Printf(context.Background(), "%d retries", 3)
}

// sorted returns a line of the log as its sorted fields without the time.
func sorted(t *testing.T, line []byte) string {
	t.Helper()
	var record map[string]any
	if err := json.Unmarshal(line, &record); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	delete(record, "time")
	var fields []string
	for _, key := range slices.Sorted(maps.Keys(record)) {
		fields = append(fields, fmt.Sprintf("%s=%v", key, record[key]))
	}
	return strings.Join(fields, " ")
}
