{{/*
Labels and annotations.
*/}}

{{/* What pods are found by. Takes a list of the root and the component, which is mirror or test. */}}
{{- define "prometheusmirror.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ include "prometheusmirror.name" $root | quote }}
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
    {{- include "prometheusmirror.collect" (dict "root" $.root "from" . "into" $labels) -}}
{{- end -}}
{{- $selector := include "prometheusmirror.selector" (list .root (.component | default "mirror")) | fromYaml -}}
{{- range $name, $value := $selector }}{{ $_ := set $labels $name $value }}{{ end -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 -}}
{{- $_ := set $labels "helm.sh/chart" $chart -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- toYaml $labels -}}
{{- end }}

{{/*
Annotations, or nothing at all. Takes the `root`, the name of the value in which there are `annotations`, and the
chart's `own`, which win.
*/}}
{{- define "prometheusmirror.annotations" -}}
{{- $annotations := dict -}}
{{- with .annotations -}}
    {{- include "prometheusmirror.collect" (dict "root" $.root "from" . "into" $annotations) -}}
{{- end -}}
{{- range $name, $value := .own }}{{ $_ := set $annotations $name $value }}{{ end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{/* The metadata of an object. Takes what labels and annotations take, and if need be the `suffix` of its name. */}}
{{- define "prometheusmirror.metadata" -}}
name: {{ printf "%s%s" (include "prometheusmirror.fullname" .root) (.suffix | default "") | quote }}
labels:
  {{- include "prometheusmirror.labels" . | nindent 2 }}
{{- with include "prometheusmirror.annotations" . }}
{{ . }}
{{- end }}
{{- end }}
