package app

import (
	"context"
	"errors"
	"slices"
	"testing"

	"k8s.io/klog/v2"
)

func TestEverythingWritesToOneLog(t *testing.T) {
	for level, want := range map[string][]string{
		"debug": {"level=DEBUG msg=detail", "a=1 level=INFO logger=loop msg=scaled", "err=broken level=ERROR msg=failed", "level=INFO msg=of a client"},
		"info":  {"a=1 level=INFO logger=loop msg=scaled", "err=broken level=ERROR msg=failed", "level=INFO msg=of a client"},
		"error": {"err=broken level=ERROR msg=failed"},
	} {
		got := stderr(t, func() {
			log, err := parsed(t, "--log-level="+level).startLog()
			if err != nil {
				t.Fatal(err)
			}
			log.V(4).Info("detail")
			log.WithName("loop").Info("scaled", "a", 1)
			log.Error(errors.New("broken"), "failed")
			klog.Background().Info("of a client")
			quietly{log}.Printf(context.Background(), "redis: %d retries", 3)
		})
		if level == "debug" {
			want = append(want, "level=DEBUG msg=redis: 3 retries")
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", level, got, want)
		}
	}
}
