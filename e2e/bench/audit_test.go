package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func scaled(user, name, subresource string, replicas, code int, at time.Time) string {
	return fmt.Sprintf(`{"kind":"Event","stage":"ResponseComplete","user":{"username":%q},"objectRef":{"resource":"deployments","namespace":"shop","name":%q,"subresource":%q},`+
		`"responseStatus":{"code":%d},"requestObject":{"spec":{"replicas":%d}},"stageTimestamp":%q}`+"\n", user, name, subresource, code, replicas, at.Format(time.RFC3339Nano))
}

// TestAuditLog: what was refused or is no count does not count, the line that is being written is read when it is whole, and only the autoscaler's writes are its own.
func TestAuditLog(t *testing.T) {
	a := newAuditLog(filepath.Join(t.TempDir(), "audit.log"))
	if err := a.follow(); err != nil {
		t.Fatalf("before there is a log: %v", err)
	}
	began := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	last := scaled("admin", "mail", "scale", 5, 200, began.Add(4*time.Second))
	whole := scaled(account, "mail", "scale", 2, 409, began) + scaled(account, "mail", "", 3, 200, began.Add(time.Second)) +
		scaled(account, "mail", "scale", 1, 200, began.Add(2*time.Second)) + scaled(account, "mail", "scale", 4, 200, began.Add(3*time.Second))
	if err := os.WriteFile(a.path, []byte(whole+last[:50]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.follow(); err != nil {
		t.Fatal(err)
	}
	mail := types.NamespacedName{Namespace: "shop", Name: "mail"}
	want := map[int32]time.Time{1: began.Add(2 * time.Second), 2: began.Add(3 * time.Second), 5: {}}
	for replicas, at := range want {
		if got := a.first(mail, replicas); !got.Equal(at) {
			t.Errorf("%d replicas: written at %s, want %s", replicas, got, at)
		}
	}
	if err := os.WriteFile(a.path, []byte(whole+last), 0o600); err != nil {
		t.Fatal(err)
	}
	at, err := a.await(t.Context(), 5, time.Minute, mail)
	if err != nil || !at[0].Equal(began.Add(4*time.Second)) {
		t.Errorf("5 replicas: written at %s (%v), want %s", at, err, began.Add(4*time.Second))
	}
	if a.writes != 4 {
		t.Errorf("%d writes of the autoscaler, want 4", a.writes)
	}
	if err := os.WriteFile(a.path, []byte(last), 0o600); err != nil {
		t.Fatal(err)
	}
	const another = "read the audit log: the API server has begun another one, and what came between is not counted"
	if err := a.follow(); err == nil || err.Error() != another {
		t.Errorf("got  %v\nwant %s", err, another)
	}
}

func TestAwaitSaysWhatIsMissing(t *testing.T) {
	a := newAuditLog(filepath.Join(t.TempDir(), "audit.log"))
	mail := types.NamespacedName{Namespace: "shop", Name: "mail"}
	if err := os.WriteFile(a.path, []byte(scaled("admin", "mail", "scale", 5, 200, time.Now())), 0o600); err != nil {
		t.Fatal(err)
	}
	const missing = "1 of 2 workloads are still below 5 replicas after 0s, the first of [shop/mail shop/none]"
	if _, err := a.await(t.Context(), 5, 0, mail, types.NamespacedName{Namespace: "shop", Name: "none"}); err == nil || err.Error() != missing {
		t.Errorf("got  %v\nwant %s", err, missing)
	}
}
