{{/*
Texts from values. Whatever a value is, Kubernetes wants text in labels, annotations and variables; and a number written
in a values file has gone through a floating-point one by the time a template sees it.
*/}}

{{/* A value as the text that was written. Takes the value as `of`, and its `name`. A refused one is not repeated. */}}
{{- define "prometheusmirror.text" -}}
{{- if kindIs "float64" .of -}}
    {{- if or (ne (floor .of) .of) (ge .of 9007199254740992.0) (le .of -9007199254740992.0) -}}
        {{- printf (print
            "%s is a number, of which it cannot be told how it was written: put it in quotes, or give it with "
            "--set-string"
        ) .name | fail -}}
    {{- end -}}
    {{- printf "%.0f" .of -}}
{{- else if or (kindIs "map" .of) (kindIs "slice" .of) -}}
    {{- printf "%s has to be a text, not a map or a list" .name | fail -}}
{{- else if not (kindIs "invalid" .of) -}}
    {{- .of -}}
{{- end -}}
{{- end }}

{{/*
Puts the entries of a value into a map, as texts; those that are null are left out. Takes the `root`, the name of the
value as `from`, such as `service.annotations`, and the map as `into`.
*/}}
{{- define "prometheusmirror.collect" -}}
{{- $entries := .root.Values -}}
{{- range splitList "." .from }}{{ $entries = get ($entries | default dict) . }}{{ end -}}
{{- $collect := . -}}
{{- range $name, $value := $entries | default dict -}}
    {{- if not (kindIs "invalid" $value) -}}
        {{- $text := dict "of" $value "name" (printf "%s.%s" $collect.from $name) | include "prometheusmirror.text" -}}
        {{- $_ := set $collect.into $name $text -}}
    {{- end -}}
{{- end -}}
{{- end }}
