{{/* What selectors match. Never changes within a release's life, because a Deployment's selector is immutable. */}}
{{- define "sandkeeper.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sandkeeper.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* What selectors of the gateway match; never changes either. */}}
{{- define "sandkeeper.gatewaySelectorLabels" -}}
app.kubernetes.io/name: {{ include "sandkeeper.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{/* The same two as selectors of the API and of kubectl. */}}
{{- define "sandkeeper.operatorSelector" -}}
{{- include "sandkeeper.asSelector" (include "sandkeeper.selectorLabels" .) }}
{{- end }}
{{- define "sandkeeper.gatewaySelector" -}}
{{- include "sandkeeper.asSelector" (include "sandkeeper.gatewaySelectorLabels" .) }}
{{- end }}
{{- define "sandkeeper.asSelector" -}}
{{- $parts := list }}
{{- range $name, $value := fromYaml . }}{{ $parts = append $parts (printf "%s=%s" $name $value) }}{{ end }}
{{- join "," $parts }}
{{- end }}

{{/* Labels of what belongs to the gateway. */}}
{{- define "sandkeeper.gatewayLabels" -}}
{{- merge (include "sandkeeper.gatewaySelectorLabels" . | fromYaml) (include "sandkeeper.labels" . | fromYaml) | toYaml }}
{{- end }}

{{/* Labels of the gateway's pods. */}}
{{- define "sandkeeper.gatewayPodLabels" -}}
{{- merge (include "sandkeeper.gatewaySelectorLabels" . | fromYaml) (.Values.gateway.podLabels | default dict) (.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{/* Labels of every object. The chart's own win over commonLabels. */}}
{{- define "sandkeeper.labels" -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- $own := dict
  "app.kubernetes.io/name" (include "sandkeeper.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" (.Chart.AppVersion | toString)
  "app.kubernetes.io/part-of" "sandkeeper"
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" $chart }}
{{- merge $own (.Values.commonLabels | default dict) | toYaml }}
{{- end }}

{{/* Labels of what belongs to the operator's process. */}}
{{- define "sandkeeper.operatorLabels" -}}
{{- merge (include "sandkeeper.selectorLabels" . | fromYaml) (include "sandkeeper.labels" . | fromYaml) | toYaml }}
{{- end }}

{{/* Labels of the operator's pods. Without versions, so that only a change of what runs replaces them. */}}
{{- define "sandkeeper.podLabels" -}}
{{- merge (include "sandkeeper.selectorLabels" . | fromYaml) (.Values.podLabels | default dict) (.Values.commonLabels | default dict) | toYaml }}
{{- end }}
