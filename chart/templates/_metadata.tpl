{{/*
Labels and annotations.
*/}}

{{/*
What pods are selected by. No value changes it: a Deployment refuses another selector, and a Service with another one selects
nothing. Takes a list of the root and the component, which is mirror or test.
*/}}
{{- define "prometheusmirror.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ $root.Chart.Name | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/*
All labels, of which the chart's own win over the user's. Takes the `root`, and if need be another `component` than
mirror, and the name of the value in which there are further `labels`.
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

{{/* What Kubernetes refuses as a label, before Helm changes any object. Takes a list of the value they are from, and the labels. */}}
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

{{/* The same for names alone. Takes a list of the value they are from, a map with the names, and what they name. */}}
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
Annotations, or nothing at all. Takes the `root`, the name of the value in which there are `annotations`, and the
chart's `own`, which win.
*/}}
{{- define "prometheusmirror.annotations" -}}
{{- $annotations := dict -}}
{{- with .annotations -}}
    {{- include "prometheusmirror.collect" (dict "root" $.root "from" . "into" $annotations) -}}
    {{- include "prometheusmirror.checkedNames" (list . $annotations "an annotation") -}}
    {{- if gt (len (toJson $annotations)) 262144 -}}
        {{- printf "%s: an object can have 256 KiB of annotations, and these are more" . | fail -}}
    {{- end -}}
{{- end -}}
{{- range $name, $value := .own }}{{ $_ := set $annotations $name $value }}{{ end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{/*
The metadata of an object. Takes what labels and annotations take, and if need be the `suffix` of its name or the whole `name`, and
its `namespace`.
*/}}
{{- define "prometheusmirror.metadata" -}}
name: {{ .name | default (printf "%s%s" (include "prometheusmirror.fullname" .root) (.suffix | default "")) | quote }}
{{- /* Without an override, Helm and kubectl say which namespace. */}}
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
