package redisstreams

import (
	"os"
	"strings"
	"testing"
)

func TestDocumentationGivesTheMinimalACL(t *testing.T) {
	const path = "../../docs/notes/redis-streams.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), MinimalACL) {
		t.Errorf("%s does not give the ACL that is tested: %s", path, MinimalACL)
	}
}
