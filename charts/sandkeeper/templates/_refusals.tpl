{{/* What a schema cannot tell in one sentence: values that are right alone and wrong together. */}}
{{- define "sandkeeper.refuse" -}}
{{- if and .Values.sandboxPriorityClass.create (not .Values.sandboxPriorityClass.name) }}
{{- fail "sandboxPriorityClass.name is empty although sandboxPriorityClass.create is true: name the class, or set create to false" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
{{- fail "metrics.serviceMonitor.enabled is true but networkPolicy.metricsFrom is empty, so Prometheus could not reach the metrics: list its namespace there, or set networkPolicy.enabled to false" }}
{{- end }}
{{- if and .Values.requireEnforcement (not .Values.canary.enabled) }}
{{- fail "requireEnforcement is true but canary.enabled is false, so no sandbox could ever start: turn the canary on, or set requireEnforcement to false" }}
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
{{- end }}
