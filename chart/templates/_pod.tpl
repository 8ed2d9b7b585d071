{{/*
What the pods of the mirror and the one that tests it have in common: a cluster that accepts the one accepts the other.
*/}}

{{/* Fields of a pod. Takes the root. */}}
{{- define "prometheusmirror.pod" -}}
enableServiceLinks: false
{{- with include "prometheusmirror.serviceAccount" . }}
serviceAccountName: {{ quote . }}
{{- end }}
{{- with include "prometheusmirror.pullSecrets" . }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $nodes := dict }}
{{- include "prometheusmirror.collect" (dict "root" . "from" "nodeSelector" "into" $nodes) }}
{{- with $nodes }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- include "prometheusmirror.withTexts" (list "tolerations" .) | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- include "prometheusmirror.withTexts" (list "dnsConfig" .) | nindent 2 }}
{{- end }}
{{- end }}

{{/* The volumes that users add. Kubernetes refuses two of one name, and those of the chart have theirs. Takes the root. */}}
{{- define "prometheusmirror.extraVolumes" -}}
{{- $names := list "key" "proxy" "certificates" "upstreams" -}}
{{- range .Values.upstreamFiles }}{{ $names = printf "files-%s" .name | append $names }}{{ end -}}
{{- range .Values.extraVolumes -}}
    {{- if has .name $names -}}
        {{- printf "extraVolumes: the name %q is taken: give the volume another one" .name | fail -}}
    {{- end -}}
    {{- $names = append $names .name -}}
{{- end -}}
{{- with .Values.extraVolumes }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* The service account of the pods, or nothing. */}}
{{- define "prometheusmirror.serviceAccount" -}}
{{- with .Values.serviceAccount.name -}}
    {{- . -}}
{{- else -}}
    {{- if .Values.serviceAccount.create }}{{ include "prometheusmirror.fullname" . }}{{ end -}}
{{- end -}}
{{- end }}

{{/* Fields of a container. Takes the root. */}}
{{- define "prometheusmirror.container" -}}
image: {{ include "prometheusmirror.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
A number that changes with what the running mirror does not take over when it changes, so that its pods are replaced;
nothing if there is no such thing. The key and the upstreams are none: they are read again. Takes the root.
*/}}
{{- define "prometheusmirror.restart" -}}
{{- $given := dict -}}
{{- with include "prometheusmirror.proxy.url" . }}{{ $_ := set $given "proxy" . }}{{ end -}}
{{- with include "prometheusmirror.secretEnv" . | fromYaml }}{{ $_ := set $given "env" . }}{{ end -}}
{{- if include "prometheusmirror.certificates.configMap" . -}}
    {{- with .Values.global.customCertificates.pemData }}{{ $_ := set $given "certificates" . }}{{ end -}}
{{- end -}}
{{- with $given }}{{ toJson . | sha256sum }}{{ end -}}
{{- end }}
