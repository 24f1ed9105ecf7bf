{{/* What operator and gateway have in common: neither is root, writes a file of its own, or gains a right. */}}
{{- define "sandkeeper.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- define "sandkeeper.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
Where pods run. Takes the values that tell, and the labels by which pods are spread: those of one revision only, so that a
rollout spreads as well.
*/}}
{{- define "sandkeeper.scheduling" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $chosen := dict "labelSelector" (dict "matchLabels" (fromYaml .labels)) "matchLabelKeys" (list "pod-template-hash") }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- list (ternary . (merge (deepCopy .) $chosen) (hasKey . "labelSelector")) | toYaml | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
