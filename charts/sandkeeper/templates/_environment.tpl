{{/* The operator's settings, one value of the chart each. */}}
{{- define "sandkeeper.environment" -}}
- name: SANDKEEPER_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: SANDKEEPER_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: SANDKEEPER_SHARDS
  value: {{ .Values.shards | quote }}
- name: SANDKEEPER_LEASE_SECONDS
  value: {{ .Values.leaseSeconds | quote }}
- name: SANDKEEPER_WORKERS
  value: {{ .Values.workers | quote }}
- name: SANDKEEPER_METRICS_PORT
  value: {{ .Values.metrics.port | quote }}
- name: SANDKEEPER_PROBES_PORT
  value: {{ .Values.probes.port | quote }}
- name: SANDKEEPER_PRIORITY_CLASS
  value: {{ .Values.sandboxPriorityClass.name | quote }}
- name: SANDKEEPER_POD_ANNOTATIONS
  value: {{ .Values.sandboxPods.annotations | default dict | toJson | quote }}
- name: SANDKEEPER_POD_LABELS
  value: {{ .Values.sandboxPods.labels | default dict | toJson | quote }}
- name: SANDKEEPER_USER_NAMESPACES
  value: {{ .Values.sandboxPods.userNamespaces | quote }}
- name: SANDKEEPER_REQUIRE_ENFORCEMENT
  value: {{ .Values.requireEnforcement | quote }}
- name: SANDKEEPER_REQUIRE_POLICY
  value: {{ .Values.requirePolicy | quote }}
- name: SANDKEEPER_GUEST_IMAGE
  value: {{ include "sandkeeper.imageReference" (dict "root" . "image" .Values.guest.image) | quote }}
- name: SANDKEEPER_GUEST_PULL_POLICY
  value: {{ .Values.guest.image.pullPolicy | quote }}
- name: SANDKEEPER_GUEST_PULL_SECRETS
  value: {{ include "sandkeeper.secretNames" .Values.guest.imagePullSecrets | quote }}
- name: SANDKEEPER_GUEST_DELIVERY
  value: {{ .Values.guest.delivery | quote }}
- name: SANDKEEPER_GUEST_INSTALL_SECONDS
  value: {{ .Values.guest.installTimeoutSeconds | quote }}
- name: SANDKEEPER_GUEST_PACK_LIMIT
  value: {{ .Values.guest.packLimit | quote }}
- name: SANDKEEPER_PACKS
  value: {{ .Values.guest.packs | quote }}
- name: SANDKEEPER_PACKS_PER_NODE
  value: {{ .Values.guest.packsPerNode | quote }}
- name: SANDKEEPER_RESTART_ON_SECRET_CHANGE
  value: {{ .Values.secrets.restartOnChange | quote }}
- name: SANDKEEPER_CANARY_IMAGE
  value: {{ ternary (include "sandkeeper.image" .) "" .Values.canary.enabled | quote }}
- name: SANDKEEPER_CANARY_PULL_POLICY
  value: {{ .Values.image.pullPolicy | quote }}
- name: SANDKEEPER_CANARY_PULL_SECRETS
  value: {{ include "sandkeeper.secretNames" .Values.imagePullSecrets | quote }}
- name: SANDKEEPER_CANARY_INTERVAL_SECONDS
  value: {{ .Values.canary.intervalSeconds | quote }}
- name: SANDKEEPER_CANARY_EXTRA_TARGETS
  value: {{ .Values.canary.extraTargets | toJson | quote }}
- name: SANDKEEPER_IDLE_ACCOUNT
  value: {{ ternary (include "sandkeeper.usage" .) "" .Values.idle.enabled | quote }}
- name: SANDKEEPER_IDLE_INTERVAL_SECONDS
  value: {{ .Values.idle.intervalSeconds | quote }}
- name: SANDKEEPER_IDLE_THRESHOLD
  value: {{ .Values.idle.threshold | quote }}
- name: SANDKEEPER_IDLE_KUBELET_CA
  value: {{ ternary "" (printf "%s/%s" (include "sandkeeper.kubeletAuthority" .) .Values.idle.kubeletCA.key) (empty .Values.idle.kubeletCA.configMap) | quote }}
- name: SANDKEEPER_IDLE_KUBELET_VERIFY
  value: {{ not .Values.idle.insecureSkipVerify | quote }}
- name: SANDKEEPER_GATEWAY_SELECTOR
  value: {{ ternary (include "sandkeeper.gatewaySelector" .) "" .Values.gateway.enabled | quote }}
- name: SANDKEEPER_GATEWAY_PORTS
  value: {{ .Values.gateway.ports | toJson | quote }}
- name: SANDKEEPER_GATEWAY_SETUP_DOMAINS
  value: {{ .Values.gateway.setupDomains | default list | toJson | quote }}
- name: SANDKEEPER_GATEWAY_ACTIVITY_PORT
  value: {{ .Values.gateway.activityPort | quote }}
- name: SANDKEEPER_LOG_FORMAT
  value: {{ .Values.log.format | quote }}
- name: SANDKEEPER_LOG_LEVEL
  value: {{ .Values.log.level | quote }}
{{- end }}

{{/* The gateway's settings. */}}
{{- define "sandkeeper.gatewayEnvironment" -}}
- name: SANDKEEPER_GATEWAY_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: SANDKEEPER_GATEWAY_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: SANDKEEPER_GATEWAY_PORTS
  value: {{ .Values.gateway.ports | toJson | quote }}
- name: SANDKEEPER_GATEWAY_WORKERS
  value: {{ .Values.gateway.workers | quote }}
- name: SANDKEEPER_GATEWAY_METRICS_PORT
  value: {{ .Values.metrics.port | quote }}
- name: SANDKEEPER_GATEWAY_PROBES_PORT
  value: {{ .Values.probes.port | quote }}
- name: SANDKEEPER_GATEWAY_ACTIVITY_PORT
  value: {{ .Values.gateway.activityPort | quote }}
- name: SANDKEEPER_GATEWAY_RESOLVERS
  value: {{ .Values.gateway.resolvers | default list | toJson | quote }}
- name: SANDKEEPER_GATEWAY_RESOLVERS_PORT
  value: {{ .Values.gateway.resolversPort | quote }}
- name: SANDKEEPER_GATEWAY_CLUSTER_NETWORKS
  value: {{ .Values.gateway.clusterCIDRs | default list | toJson | quote }}
- name: SANDKEEPER_GATEWAY_WAIT_SECONDS
  value: {{ .Values.gateway.unknownSourceSeconds | quote }}
- name: SANDKEEPER_GATEWAY_DRAIN_DELAY_SECONDS
  value: {{ .Values.gateway.drain.delaySeconds | quote }}
- name: SANDKEEPER_GATEWAY_DRAIN_SECONDS
  value: {{ .Values.gateway.drain.seconds | quote }}
- name: SANDKEEPER_GATEWAY_AUDIT_STDOUT
  value: {{ .Values.gateway.audit.stdout | quote }}
- name: SANDKEEPER_GATEWAY_AUDIT_OTLP_ENDPOINT
  value: {{ .Values.gateway.audit.otlpEndpoint | default "" | quote }}
- name: SANDKEEPER_GATEWAY_EVENTS
  value: {{ .Values.gateway.events | quote }}
- name: SANDKEEPER_GATEWAY_LOG_FORMAT
  value: {{ .Values.log.format | quote }}
- name: SANDKEEPER_GATEWAY_LOG_LEVEL
  value: {{ .Values.log.level | quote }}
{{- end }}

{{/* Names of pull secrets, as JSON. */}}
{{- define "sandkeeper.secretNames" -}}
{{- $names := list }}
{{- range . }}{{ $names = append $names .name }}{{ end }}
{{- $names | toJson }}
{{- end }}

{{/* Folder that has the authorities of the kubelets' certificates. */}}
{{- define "sandkeeper.kubeletAuthority" -}}
/etc/sandkeeper/kubelet-ca
{{- end }}
