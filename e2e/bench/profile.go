package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// profile takes profiles of the autoscaler: where its time goes for 20 seconds, and what its memory holds.
func (l *lab) profile(ctx context.Context, name string) error {
	if l.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(l.profiles, 0o755); err != nil {
		return err
	}
	for kind, path := range map[string]string{"cpu": "profile?seconds=20", "heap": "heap?gc=1"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.pprof+"/debug/pprof/"+path, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("take a profile: %w", err)
		}
		data, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			return fmt.Errorf("take a profile: %w", err)
		}
		if err := os.WriteFile(filepath.Join(l.profiles, name+"."+kind+".pprof"), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
