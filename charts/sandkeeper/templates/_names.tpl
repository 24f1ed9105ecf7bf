{{/* Name of the application, for labels. */}}
{{- define "sandkeeper.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Prefix of all names. Forty characters leave room for suffixes within the 63 of a label or Service. */}}
{{- define "sandkeeper.fullname" -}}
{{- $name := include "sandkeeper.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $full | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Name of what belongs to the operator's process. */}}
{{- define "sandkeeper.operator" -}}
{{- include "sandkeeper.fullname" . }}-operator
{{- end }}

{{/* Name of the account as which the operator asks kubelets. */}}
{{- define "sandkeeper.usage" -}}
{{- include "sandkeeper.fullname" . }}-usage
{{- end }}

{{/* Name of what belongs to the egress gateway. */}}
{{- define "sandkeeper.gateway" -}}
{{- include "sandkeeper.fullname" . }}-gateway
{{- end }}

{{- define "sandkeeper.serviceAccountName" -}}
{{- $own := ternary (include "sandkeeper.operator" .) "default" .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default $own }}
{{- end }}

{{/* Reference of the operator's image. */}}
{{- define "sandkeeper.image" -}}
{{- include "sandkeeper.imageReference" (dict "root" . "image" .Values.image) }}
{{- end }}

{{/* Reference of an image; a digest decides over the tag. */}}
{{- define "sandkeeper.imageReference" -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion }}
{{- printf "%s:%s" .image.repository $tag }}
{{- with .image.digest }}@{{ . }}{{ end }}
{{- end }}
