{{- /* The files to read, in their order. The namespace is Helm's business: helm install --create-namespace. */}}
{{- define "autoscaler.files" -}}
{{- $files := without (.Files.Get "kustomization.yaml" | fromYaml).resources "namespace.yaml" }}
{{- if or .Values.namespaces (not .Values.jobs) }}{{ $files = without $files "cluster-role-jobs.yaml" "cluster-role-spawn.yaml" }}{{ end }}
{{- if .Values.namespaces }}{{ $files = append $files "components/by-namespace/cluster-role-watch.yaml" }}{{ end }}
{{- if .Values.networkPolicy }}{{ $files = append $files "components/network-policy/network-policy.yaml" }}{{ end }}
{{- if .Values.monitoring }}{{ $files = concat $files (list "components/monitoring/service-monitor.yaml" "components/monitoring/prometheus-rule.yaml") }}{{ end }}
{{- toYaml $files }}
{{- end }}

{{- /* Objects of those files that are left out, as KIND/NAME. */}}
{{- define "autoscaler.dropped" -}}
{{- $dropped := list }}
{{- if or .Values.namespaces (not .Values.references.everywhere) }}{{ $dropped = append $dropped "ClusterRoleBinding/autoscaler-references" }}{{ end }}
{{- if .Values.namespaces }}{{ $dropped = concat $dropped (list "ClusterRoleBinding/autoscaler" "ClusterRoleBinding/autoscaler-resources") }}{{ end }}
{{- toYaml $dropped }}
{{- end }}

{{- define "autoscaler.deployment" -}}
{{- $values := .values }}
{{- $template := .object.spec.template }}
{{- $pod := $template.spec }}
{{- $container := first $pod.containers }}
{{- $_ := set .object.spec "replicas" $values.replicas }}
{{- $image := printf "%s:%s" $values.image.repository $values.image.tag }}
{{- if $values.image.digest }}{{ $image = printf "%s@%s" $values.image.repository $values.image.digest }}{{ end }}
{{- $_ := set $container "image" $image }}
{{- with $values.image.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end }}
{{- with $values.resources }}{{ $_ := set $container "resources" . }}{{ end }}
{{- with $values.extraKinds }}
{{- $kinds := list "deployments.apps" "statefulsets.apps" "jobs.batch" "cronjobs.batch" }}
{{- range . }}{{ $kinds = append $kinds (printf "%s.%s" .resource .group) }}{{ end }}
{{- $_ := set $container "args" (append $container.args (printf "--kinds=%s" (join "," $kinds))) }}
{{- end }}
{{- $_ := set $container "args" (concat $container.args $values.args) }}
{{- with $values.podAnnotations }}{{ $_ := set $template.metadata "annotations" . }}{{ end }}
{{- $_ := set $template.metadata "labels" (merge $template.metadata.labels $values.podLabels) }}
{{- range $field := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $values $field }}{{ $_ := set $pod $field . }}{{ end }}
{{- end }}
{{- toYaml .object }}
{{- end }}

{{- define "autoscaler.webhook" -}}
{{- $webhook := first .object.webhooks }}
{{- range .values.extraKinds }}
{{- $rule := dict "apiGroups" (list .group) "apiVersions" (list .version) "operations" (list "CREATE" "UPDATE") "resources" (list .resource) "scope" "Namespaced" }}
{{- $_ := set $webhook "rules" (append $webhook.rules $rule) }}
{{- end }}
{{- toYaml .object }}
{{- end }}

{{- define "autoscaler.policy" -}}
{{- $constraints := .object.spec.matchConstraints }}
{{- range .values.extraKinds }}
{{- $rule := dict "apiGroups" (list .group) "apiVersions" (list .version) "operations" (list "CREATE" "UPDATE" "DELETE") "resources" (list .resource) }}
{{- $_ := set $constraints "resourceRules" (append $constraints.resourceRules $rule) }}
{{- end }}
{{- toYaml .object }}
{{- end }}
