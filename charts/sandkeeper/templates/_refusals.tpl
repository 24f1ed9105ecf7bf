{{/* What a schema cannot tell in one sentence: values that are right alone and wrong together. */}}
{{- define "sandkeeper.refuse" -}}
{{- if and .Values.sandboxPriorityClass.create (not .Values.sandboxPriorityClass.name) }}
{{- fail "sandboxPriorityClass.name is empty although sandboxPriorityClass.create is true: name the class, or set create to false" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
{{- fail "metrics.serviceMonitor.enabled is true but networkPolicy.metricsFrom is empty, so Prometheus could not reach the metrics: list its namespace there, or set networkPolicy.enabled to false" }}
{{- end }}
{{- if and .Values.metrics.prometheusRule.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
{{- fail "metrics.prometheusRule.enabled is true but networkPolicy.metricsFrom is empty, so alerts would tell of nothing but missing metrics: list Prometheus's namespace there, or set networkPolicy.enabled to false" }}
{{- end }}
{{- if and .Values.requireEnforcement (not .Values.canary.enabled) }}
{{- fail "requireEnforcement is true but canary.enabled is false, so no sandbox could ever start: turn the canary on, or set requireEnforcement to false" }}
{{- end }}
{{- if and .Values.requirePolicy (not .Values.admissionPolicies.enabled) }}
{{- fail "requirePolicy is true but admissionPolicies.enabled is false, so nothing would refuse a sandbox without a policy: turn the admission policies on, or set requirePolicy to false" }}
{{- end }}
{{- if and .Values.idle.enabled .Values.idle.insecureSkipVerify .Values.idle.kubeletCA.configMap }}
{{- fail "idle.insecureSkipVerify is true although idle.kubeletCA.configMap is set, so no certificate would be judged by it: set insecureSkipVerify to false, or name no ConfigMap" }}
{{- end }}
{{- range $kind := list "labels" "annotations" }}
{{- range $key := keys (index $.Values.sandboxPods $kind) }}
{{- if regexMatch "^([^/]+\\.)?sandkeeper\\.dev/" $key }}
{{- fail (printf "sandboxPods.%s has %q: names below sandkeeper.dev belong to the operator, use another prefix" $kind $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq (int .Values.metrics.port) (int .Values.probes.port) }}
{{- fail (printf "metrics.port and probes.port are both %d: give each a port of its own" (int .Values.probes.port)) }}
{{- end }}
{{- if .Values.gateway.enabled }}
{{- $own := dict "metrics.port" .Values.metrics.port "probes.port" .Values.probes.port "gateway.activityPort" .Values.gateway.activityPort }}
{{- range $name, $port := $own }}
{{- if or (has (int $port) (list 3128 10053 10080 10443)) (and (ge (int $port) 11000) (lt (int $port) 11900)) }}
{{- fail (printf "%s is %d, a port on which the gateway listens for sandboxes (3128, 10053, 10080, 10443, 11000 to 11899): use another" $name (int $port)) }}
{{- end }}
{{- end }}
{{- if has (int .Values.gateway.activityPort) (list (int .Values.metrics.port) (int .Values.probes.port)) }}
{{- fail (printf "gateway.activityPort is %d, as is metrics.port or probes.port: give each a port of its own" (int .Values.gateway.activityPort)) }}
{{- end }}
{{- if and .Values.gateway.autoscaling.enabled (gt (int .Values.gateway.autoscaling.minReplicas) (int .Values.gateway.autoscaling.maxReplicas)) }}
{{- fail "gateway.autoscaling.minReplicas is more than gateway.autoscaling.maxReplicas" }}
{{- end }}
{{- if and .Values.gateway.autoscaling.enabled (not (dig "requests" "cpu" "" (.Values.gateway.resources | default dict))) }}
{{- fail "gateway.autoscaling.enabled is true but gateway.resources.requests.cpu is empty, of which its target is a percentage: set it" }}
{{- end }}
{{- end }}
{{- end }}
