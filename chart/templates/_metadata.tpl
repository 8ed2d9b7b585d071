{{/*
Labels and annotations.
*/}}

{{/*
The labels that select pods. They depend on no value, because the selector of a Deployment cannot change. Takes a list of the root and the component, which is mirror or test.
*/}}
{{- define "prometheusmirror.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ $root.Chart.Name | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/*
All labels; those of the chart win over those of the user. Takes the `root`, optionally the `component` (mirror by default), and
optionally the name of a value with further `labels`.
*/}}
{{- define "prometheusmirror.labels" -}}
{{- $labels := dict -}}
{{- range list "global.commonLabels" (.labels | default "") | compact -}}
    {{- $given := dict -}}
    {{- include "prometheusmirror.collect" (dict "root" $.root "from" . "into" $given) -}}
    {{- include "prometheusmirror.checkedLabels" (list . $given) -}}
    {{- $labels = merge $given $labels -}}
{{- end -}}
{{- $selector := include "prometheusmirror.selector" (list .root (.component | default "mirror")) | fromYaml -}}
{{- range $name, $value := $selector }}{{ $_ := set $labels $name $value }}{{ end -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 -}}
{{- $_ := set $labels "helm.sh/chart" $chart -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- toYaml $labels -}}
{{- end }}

{{/* Refuses labels that Kubernetes would refuse, before Helm changes any object. Takes a list of the value that contains them, and the labels. */}}
{{- define "prometheusmirror.checkedLabels" -}}
{{- $from := first . -}}
{{- include "prometheusmirror.checkedNames" (list $from (last .) "a label") -}}
{{- range $name, $value := last . -}}
    {{- if not (regexMatch "^([a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)?$" $value) -}}
        {{- printf (print
            "%s.%s: %q cannot be the value of a label: at most 63 letters, digits, dashes, dots and underscores, with a "
            "letter or digit at both ends"
        ) $from $name $value | fail -}}
    {{- end -}}
{{- end -}}
{{- end }}

{{/* The same for names only. Takes a list of the value that contains them, a map with the names, and what they name. */}}
{{- define "prometheusmirror.checkedNames" -}}
{{- $from := first . }}{{ $what := last . -}}
{{- range $name, $_ := index . 1 -}}
    {{- /* The prefix of an annotation may have capitals. */ -}}
    {{- $read := eq $what "an annotation" | ternary (lower $name) $name -}}
    {{- $prefix := "([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?" -}}
    {{- $word := "[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?" -}}
    {{- if not (regexMatch (printf "^%s%s$" $prefix $word) $read) -}}
        {{- printf (print
            "%s: %q cannot be the name of %s, such as team or example.com/team: at most 63 letters, digits, dashes, "
            "dots and underscores, with a letter or digit at both ends"
        ) $from $name $what | fail -}}
    {{- end -}}
{{- end -}}
{{- end }}

{{/*
Annotations, or nothing if there are none. Takes the `root`, the name of the value with the `annotations`, and the chart's `own`,
which win.
*/}}
{{- define "prometheusmirror.annotations" -}}
{{- $annotations := dict -}}
{{- with .annotations -}}
    {{- include "prometheusmirror.collect" (dict "root" $.root "from" . "into" $annotations) -}}
    {{- include "prometheusmirror.checkedNames" (list . $annotations "an annotation") -}}
    {{- if gt (len (toJson $annotations)) 262144 -}}
        {{- printf "%s: these are more than the 256 KiB of annotations that an object can have" . | fail -}}
    {{- end -}}
{{- end -}}
{{- range $name, $value := .own }}{{ $_ := set $annotations $name $value }}{{ end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{/*
The metadata of an object. Takes what labels and annotations take, and optionally the `suffix` of its name or the whole `name`, and
its `namespace`.
*/}}
{{- define "prometheusmirror.metadata" -}}
name: {{ .name | default (printf "%s%s" (include "prometheusmirror.fullname" .root) (.suffix | default "")) | quote }}
{{- /* Without an override, Helm or kubectl sets the namespace. */}}
{{- $namespace := .namespace }}
{{- if and (not $namespace) .root.Values.namespaceOverride }}{{ $namespace = include "prometheusmirror.namespace" .root }}{{ end }}
{{- with $namespace }}
namespace: {{ quote . }}
{{- end }}
labels:
  {{- include "prometheusmirror.labels" . | nindent 2 }}
{{- with include "prometheusmirror.annotations" . }}
{{ . }}
{{- end }}
{{- end }}
