package rights

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Grant is the smallest piece of a rule: one verb on one resource, of one name or of all.
type Grant struct {
	// Group is empty for the core group. Resource names the subresource too: deployments/scale.
	Group, Resource, Verb, Name string
}

// String is as in "patch deployments/scale.apps".
func (g Grant) String() string {
	text := g.Verb + " " + g.Resource
	if g.Group != "" {
		text += "." + g.Group
	}
	if g.Name != "" {
		text += " " + g.Name
	}
	return text
}

// Covers says whether a request is one that the grant is for.
func (g Grant) Covers(request Grant) bool {
	return g.Group == request.Group && g.Resource == request.Resource && g.Verb == request.Verb && (g.Name == "" || g.Name == request.Name)
}

// Serving returns those of some grants that cover a request: the ones for its name alone where there are any, since they would be enough.
func Serving(grants []Grant, request Grant) []Grant {
	var named, all []Grant
	for _, g := range grants {
		switch {
		case !g.Covers(request):
		case g.Name != "":
			named = append(named, g)
		default:
			all = append(all, g)
		}
	}
	if len(named) > 0 {
		return named
	}
	return all
}

// Role is a ClusterRole, or with a Namespace a Role, and what it grants.
type Role struct {
	Namespace, Name string
	Grants          []Grant
}

// RolesOf returns what is bound to a service account, sorted by name.
func RolesOf(ctx context.Context, kube kubernetes.Interface, namespace, account string) ([]Role, error) {
	bound := func(subjects []rbacv1.Subject) bool {
		return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == namespace && s.Name == account
		})
	}
	var roles []Role
	everywhere, err := kube.RbacV1().ClusterRoleBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, binding := range everywhere.Items {
		if bound(binding.Subjects) {
			roles = append(roles, Role{Name: binding.RoleRef.Name})
		}
	}
	inOne, err := kube.RbacV1().RoleBindings(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, binding := range inOne.Items {
		if bound(binding.Subjects) {
			roles = append(roles, Role{Namespace: binding.Namespace, Name: binding.RoleRef.Name})
		}
	}
	for i := range roles {
		if err := roles[i].read(ctx, kube); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(roles, func(a, b Role) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace)) })
	return roles, nil
}

func (r *Role) read(ctx context.Context, kube kubernetes.Interface) error {
	var rules []rbacv1.PolicyRule
	if r.Namespace == "" {
		role, err := kube.RbacV1().ClusterRoles().Get(ctx, r.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		rules = role.Rules
	} else {
		role, err := kube.RbacV1().Roles(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		rules = role.Rules
	}
	for _, rule := range rules {
		grants, err := expand(rule)
		if err != nil {
			return fmt.Errorf("role %s: %w", r.Name, err)
		}
		r.Grants = append(r.Grants, grants...)
	}
	return nil
}

// expand refuses what cannot be proven piece by piece.
func expand(rule rbacv1.PolicyRule) ([]Grant, error) {
	if len(rule.NonResourceURLs) > 0 {
		return nil, fmt.Errorf("it grants URLs (%v); want resources alone", rule.NonResourceURLs)
	}
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var grants []Grant
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				for _, name := range names {
					grant := Grant{group, resource, verb, name}
					if strings.Contains(group+resource+verb, rbacv1.ResourceAll) {
						return nil, fmt.Errorf("it grants %q; want every group, resource and verb by name", grant)
					}
					grants = append(grants, grant)
				}
			}
		}
	}
	return grants, nil
}

// Write makes the role grant these and nothing else.
func (r *Role) Write(ctx context.Context, kube kubernetes.Interface, grants []Grant) error {
	var rules []rbacv1.PolicyRule
	for _, g := range grants {
		rule := rbacv1.PolicyRule{APIGroups: []string{g.Group}, Resources: []string{g.Resource}, Verbs: []string{g.Verb}}
		if g.Name != "" {
			rule.ResourceNames = []string{g.Name}
		}
		rules = append(rules, rule)
	}
	if r.Namespace == "" {
		role, err := kube.RbacV1().ClusterRoles().Get(ctx, r.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		role.Rules = rules
		_, err = kube.RbacV1().ClusterRoles().Update(ctx, role, metav1.UpdateOptions{})
		return err
	}
	role, err := kube.RbacV1().Roles(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	role.Rules = rules
	_, err = kube.RbacV1().Roles(r.Namespace).Update(ctx, role, metav1.UpdateOptions{})
	return err
}
