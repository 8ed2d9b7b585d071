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

{{/*
A part of a pod or policy as YAML, in which label values and the like are texts, as Kubernetes demands; what is null is left out.
Takes a list of the name of the value, and the value.
*/}}
{{- define "prometheusmirror.withTexts" -}}
{{- $of := include "prometheusmirror.withTexts.json" (dict "name" (first .) "of" (last .)) | fromJson -}}
{{- toYaml $of.is -}}
{{- end }}

{{/* The same as the JSON `{"is": …}`. Takes the value as `of`, its `name`, and whether what it holds are `texts`. */}}
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
