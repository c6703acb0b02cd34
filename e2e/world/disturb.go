package world

import (
	"context"
	"time"
)

// Kill ends the autoscaler of the case at once. Only a case that is Alone may do that to the shared one, which runs again
// when the case has ended.
func (w *World) Kill() { w.T.Helper(); w.disturb("kill", w.Scaler.Kill) }

// Stop ends the autoscaler in good order; see [World.Kill].
func (w *World) Stop() { w.T.Helper(); w.disturb("stop", w.Scaler.Stop) }

// Pause stops the autoscaler's process until Resume; see [World.Kill].
func (w *World) Pause() { w.T.Helper(); w.disturb("pause", w.Scaler.Pause) }

// Resume lets it run on; see [World.Kill].
func (w *World) Resume() { w.T.Helper(); w.disturb("resume", w.Scaler.Resume) }

func (w *World) disturb(what string, do func() error) {
	w.T.Helper()
	if w.Scaler == w.autoscaler {
		w.needsAlone(what + " the shared autoscaler")
		w.T.Cleanup(w.mendShared)
	}
	if err := do(); err != nil {
		w.T.Fatal(err)
	}
}

// needsAlone fails a case that is about to disturb others.
func (w *World) needsAlone(what string) {
	w.T.Helper()
	if !w.alone {
		w.T.Fatalf("%s: only a case that is Alone may; see also Own and OwnInstall", what)
	}
}

// mendShared starts the shared autoscaler again if a case that failed has left it stopped or paused.
func (w *World) mendShared() {
	if w.autoscaler.Running() {
		_ = w.autoscaler.Resume()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.autoscaler.Restart(ctx); err != nil {
		w.T.Errorf("start the shared autoscaler again: %v", err)
	}
}
