{{/*
Values as text. Kubernetes accepts only text in labels, annotations and variables, but Helm reads a number in a values file as a
floating-point number, which templates cannot turn back into what the user wrote.
*/}}

{{/* A value as text. Takes the value as `of`, and its `name`. Errors do not repeat the value. */}}
{{- define "prometheusmirror.text" -}}
{{- if kindIs "float64" .of -}}
    {{- if or (ne (floor .of) .of) (ge .of 9007199254740992.0) (le .of -9007199254740992.0) -}}
        {{- printf (print
            "%s is a number that Helm may have changed: put it in quotes, or give it with --set-string"
        ) .name | fail -}}
    {{- end -}}
    {{- printf "%.0f" .of -}}
{{- else if or (kindIs "map" .of) (kindIs "slice" .of) -}}
    {{- printf "%s must be a text, not a map or a list" .name | fail -}}
{{- else if not (kindIs "invalid" .of) -}}
    {{- .of -}}
{{- end -}}
{{- end }}

{{/*
Puts the entries of a value into a map, as text, except those that are null. Takes the `root`, the name of the value as `from`, such as
`service.annotations`, and the map as `into`.
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

{{/*
A part of a pod or policy as YAML, with label values and the like as text, and without entries that are null. Takes a list of the name
of the value, and the value.
*/}}
{{- define "prometheusmirror.withTexts" -}}
{{- $of := include "prometheusmirror.withTexts.json" (dict "name" (first .) "of" (last .)) | fromJson -}}
{{- toYaml $of.is -}}
{{- end }}

{{/* The same as JSON, `{"is": …}`. Takes the value as `of`, its `name`, and whether its content must be text, as `texts`. */}}
{{- define "prometheusmirror.withTexts.json" -}}
{{- $given := . -}}
{{- $is := .of -}}
{{- if kindIs "map" .of -}}
    {{- $is = dict -}}
    {{- range $key, $value := .of -}}
        {{- if not (kindIs "invalid" $value) -}}
            {{- $areTexts := or $given.texts (has $key (list "matchLabels" "key" "values" "value")) -}}
            {{- $part := dict "name" (printf "%s.%s" $given.name $key) "of" $value "texts" $areTexts -}}
            {{- $_ := set $is $key (include "prometheusmirror.withTexts.json" $part | fromJson).is -}}
        {{- end -}}
    {{- end -}}
{{- else if kindIs "slice" .of -}}
    {{- $is = list -}}
    {{- range $at, $value := .of -}}
        {{- $part := dict "name" (printf "%s[%d]" $given.name $at) "of" $value "texts" $given.texts -}}
        {{- $is = append $is (include "prometheusmirror.withTexts.json" $part | fromJson).is -}}
    {{- end -}}
{{- else if .texts -}}
    {{- $is = include "prometheusmirror.text" . -}}
{{- end -}}
{{- dict "is" $is | toJson -}}
{{- end }}

{{/* A duration as Prometheus writes it, such as 1m30s, in milliseconds. */}}
{{- define "prometheusmirror.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
    {{- $count := regexFind "[0-9]+" . | int64 -}}
    {{- $sum = regexFind "[a-z]+" . | get $units | int64 | mul $count | add $sum -}}
{{- end -}}
{{- $sum -}}
{{- end }}
