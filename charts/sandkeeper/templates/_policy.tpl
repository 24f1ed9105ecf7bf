{{/*
Whether a pattern of allowedImages allows the image in variables.*, as CEL: the steps of operator/sandkeeper/api/images.py.
Takes the variable that the pattern is in.
*/}}
{{- define "sandkeeper.imageAllowed" -}}
{{- $bare := printf "(%s.endsWith(':*') && !%s.contains('@') ? %s.substring(0, size(%s) - 2) : %s)" . . . . . -}}
({{ $bare }}.matches('^([^/]*[.:A-Z][^/]*|localhost)/') ? variables.hosted : variables.unhosted).exists(name,
(name + variables.version).matches('^' + {{ $bare }}.replace('.', '[.]').replace('*', '[^/:@]*')
+ ({{ $bare }}.matches('[:@][^/]*$') ? '' : '(:[^/:@]+)?(@.+)?') + '$'))
{{- end }}

{{/*
Ending of a sentence on what a SandboxPolicy does not allow, as CEL. Takes the list of what it allows. Of a message beyond 5 KiB
the apiserver says nothing at all.
*/}}
{{- define "sandkeeper.notAllowed" -}}
' is not allowed by SandboxPolicy default of namespace ' + request.namespace + '; allowed: '
+ (size({{ . }}) == 0 ? 'none' : [{{ . }}.map(one, one == '' ? '""' : one).join(', ')]
.map(all, size(all) > 1000 ? all.substring(0, 1000) + '...' : all)[0])
{{- end }}

{{/*
Those of a list of domains that end with none of a list of endings, as CEL: what `covers` of operator/sandkeeper/api/domains.py
refuses. Takes both expressions. The apiserver bounds what one expression may cost, so each domain is compared but once.
*/}}
{{- define "sandkeeper.domainsBeyond" -}}
{{ .domains }}.filter(asked, !{{ .endings }}.exists(ending, asked.endsWith(ending)))
{{- end }}
