{{/*
Whether a pattern of allowedImages allows the image in variables.*, as CEL: the steps of operator/sandkeeper/api/images.py.
Takes the variable that the pattern is in.
*/}}
{{- define "sandkeeper.imageAllowed" -}}
{{- $bare := printf "(%s.endsWith(':*') && !%s.contains('@') ? %s.substring(0, size(%s) - 2) : %s)" . . . . . -}}
({{ $bare }}.matches('^([^/]*[.:][^/]*|localhost)/') ? variables.hosted : variables.unhosted).exists(name,
(name + variables.version).matches('^' + {{ $bare }}.replace('.', '[.]').replace('*', '[^/:@]*')
+ ({{ $bare }}.matches('[:@][^/]*$') ? '' : '(:[^/:@]+)?(@.+)?') + '$'))
{{- end }}

{{/* Ending of a sentence on what a SandboxPolicy does not allow, as CEL. Takes the list of what it allows. */}}
{{- define "sandkeeper.notAllowed" -}}
' is not allowed by SandboxPolicy default of namespace ' + request.namespace + '; allowed: '
+ (size({{ . }}) == 0 ? 'none' : {{ . }}.map(one, one == '' ? '""' : one).join(', '))
{{- end }}
