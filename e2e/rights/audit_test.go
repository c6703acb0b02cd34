package rights

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

func TestReadLog(t *testing.T) {
	l := &Log{path: filepath.Join(t.TempDir(), "audit.log")}
	const lines = `{"verb":"patch","objectRef":{"resource":"deployments","subresource":"scale","namespace":"n","name":"w","apiGroup":"apps"},"annotations":{"authorization.k8s.io/decision":"allow"}}
{"verb":"get","objectRef":{"resource":"secrets","namespace":"n","name":"s"},"annotations":{"authorization.k8s.io/decision":"forbid"}}
{"verb":"get","annotations":{"authorization.k8s.io/decision":"allow"}}
{"verb":"create","objectRef":{"resource":"selfsubjectaccessreviews","apiGroup":"authorization.k8s.io"},"responseObject":{"spec":{"resourceAttributes":{"group":"batch","resource":"jobs","verb":"list"}},"status":{"allowed":false}}}
{"verb":"patch","objectRef":{"resource":"issuers","namespace":"n","name":"i","apiGroup":"cert-manager.io"},"responseStatus":{"code":201},"annotations":{"authorization.k8s.io/decision":"allow"}}
{"verb":"patch","objectRef":{"resource":"issuers","namespace":"n","name":"i","apiGroup":"cert-manager.io"},"responseStatus":{"code":403,"message":"issuers.cert-manager.io \"i\" is forbidden: User \"u\" cannot create resource \"issuers\" in API group \"cert-manager.io\" in the namespace \"n\""},"annotations":{"authorization.k8s.io/decision":"allow"}}
{"verb":"watch","objec`
	if err := os.WriteFile(l.path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := l.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := []Request{
		{Grant: Grant{"apps", "deployments/scale", "patch", "w"}, Namespace: "n"},
		{Grant: Grant{"", "secrets", "get", "s"}, Namespace: "n", Denied: true},
		{Grant: Grant{"authorization.k8s.io", "selfsubjectaccessreviews", "create", ""}},
		{Grant: Grant{"batch", "jobs", "list", ""}, Denied: true, Asked: true},
		{Grant: Grant{"cert-manager.io", "issuers", "patch", "i"}, Namespace: "n"},
		{Grant: Grant{"cert-manager.io", "issuers", "create", ""}, Namespace: "n"},
		{Grant: Grant{"cert-manager.io", "issuers", "patch", "i"}, Namespace: "n"},
		{Grant: Grant{"cert-manager.io", "issuers", "create", ""}, Namespace: "n", Denied: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if err := os.WriteFile(l.path, []byte(lines+"tRef\":{\"resource\":\"pods\"}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Read(); err != nil || !slices.Equal(got, []Request{{Grant: Grant{"", "pods", "watch", ""}}}) {
		t.Errorf("the rest of the line is %v, %v", got, err)
	}
}

func TestExpand(t *testing.T) {
	got, err := expand(rbacv1.PolicyRule{APIGroups: []string{"", "apps"}, Resources: []string{"a", "b/scale"}, Verbs: []string{"get"}, ResourceNames: []string{"x"}})
	want := []Grant{{"", "a", "get", "x"}, {"", "b/scale", "get", "x"}, {"apps", "a", "get", "x"}, {"apps", "b/scale", "get", "x"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, c := range []struct {
		rule rbacv1.PolicyRule
		want string
	}{
		{rbacv1.PolicyRule{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}, "it grants URLs ([/metrics]); want resources alone"},
		{rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"a"}, Verbs: []string{"get"}}, `it grants "get a.*"; want every group, resource and verb by name`},
		{rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"a"}, Verbs: []string{"*"}}, `it grants "* a"; want every group, resource and verb by name`},
	} {
		if _, err := expand(c.rule); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestServing(t *testing.T) {
	every, mine, list := Grant{"", "secrets", "get", ""}, Grant{"", "secrets", "get", "mine"}, Grant{"", "secrets", "list", ""}
	for _, c := range []struct{ request, want Grant }{{mine, mine}, {Grant{"", "secrets", "get", "other"}, every}} {
		if got := Serving([]Grant{every, mine, list}, c.request); !slices.Equal(got, []Grant{c.want}) {
			t.Errorf("%s is served by %v, want %s", c.request, got, c.want)
		}
	}
}

func TestCovers(t *testing.T) {
	request := Grant{"", "secrets", "get", "mine"}
	for g, want := range map[Grant]bool{
		{"", "secrets", "get", ""}: true, {"", "secrets", "get", "mine"}: true, {"", "secrets", "get", "yours"}: false,
		{"", "secrets", "list", ""}: false, {"", "secrets/x", "get", ""}: false, {"apps", "secrets", "get", ""}: false,
	} {
		if got := g.Covers(request); got != want {
			t.Errorf("%s covers %s: %v, want %v", g, request, got, want)
		}
	}
}
