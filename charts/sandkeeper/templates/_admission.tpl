{{/* The user that the apiserver knows the operator as. */}}
{{- define "sandkeeper.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "sandkeeper.serviceAccountName" . }}
{{- end }}

{{/* Name and labels of a policy and of its binding. Takes the root and the suffix of the name. */}}
{{- define "sandkeeper.admissionMetadata" -}}
name: {{ include "sandkeeper.fullname" .root }}-{{ .suffix }}
labels:
  {{- include "sandkeeper.labels" .root | nindent 2 }}
{{- end }}

{{/*
What puts a policy in force. Takes what the metadata takes, and the parameter's reference where there is one: such a
policy leaves out the release's own namespace. While the apiserver does not know the parameter's kind yet, it refuses
whatever the policy is for, and an installation would be kept from what it brings itself.
*/}}
{{- define "sandkeeper.admissionBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  {{- include "sandkeeper.admissionMetadata" . | nindent 2 }}
spec:
  policyName: {{ include "sandkeeper.fullname" .root }}-{{ .suffix }}
  validationActions: [Deny]
  {{- with .paramRef }}
  paramRef:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $selector := deepCopy (.root.Values.admissionPolicies.namespaceSelector | default dict) }}
  {{- if .paramRef }}
  {{- $own := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" (list .root.Release.Namespace) }}
  {{- $_ := set $selector "matchExpressions" (append ($selector.matchExpressions | default list) $own) }}
  {{- end }}
  {{- with $selector }}
  matchResources:
    namespaceSelector:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end }}

{{/* Whether the asking user may widen what sandboxes reach, as CEL. Kubernetes' own roles admin and edit do not grant it. */}}
{{- define "sandkeeper.mayWiden" -}}
authorizer.group('sandkeeper.dev').resource('sandboxes').namespace(request.namespace).check('widen').allowed()
{{- end }}
