{{/*
The key: global.apiKey is either the text of it, or a map that names the Secret in which it stands. What it was given is
repeated by none of the sentences with which it is refused.
*/}}

{{/* The text of the key; empty when it stands in a Secret that is there already. */}}
{{- define "prometheusmirror.key.text" -}}
{{- $given := .Values.global.apiKey -}}
{{- if kindIs "map" $given -}}
    {{- include "prometheusmirror.key.checkedMap" $given -}}
{{- else if or (kindIs "bool" $given) (kindIs "slice" $given) -}}
    {{- fail (print
        "global.apiKey must be a text, or a map such as {fromSecret: NAME, key: KEY}; true and false are texts "
        "only in quotes, or with --set-string"
    ) -}}
{{- else -}}
    {{- /* A file ends with the end of a line, which is no part of the key, for the mirror neither. */ -}}
    {{- $text := include "prometheusmirror.text" (dict "of" $given "name" "global.apiKey") | trimAll "\r\n" -}}
    {{- if not $text -}}
        {{- printf (print
            "global.apiKey is missing, the key that StackState knows as the Api Key of the datasource: helm %s "
            "%s CHART --set global.apiKey=API_KEY; or name a Secret of the namespace that holds it with --set "
            "global.apiKey.fromSecret=NAME"
        ) (.Release.IsUpgrade | ternary "upgrade" "install") .Release.Name | fail -}}
    {{- else if or (gt (len $text) 1024) (not (regexMatch "^[!-~]+$" $text)) -}}
        {{- fail (print
            "global.apiKey must be 1 to 1024 visible ASCII characters, without spaces; what it was given is not "
            "shown here"
        ) -}}
    {{- end -}}
    {{- $text -}}
{{- end -}}
{{- end }}

{{- define "prometheusmirror.key.checkedMap" -}}
{{- range $name, $_ := omit . "fromSecret" "key" -}}
    {{- printf (print
        "global.apiKey has no %q: it is the key itself, or a map such as {fromSecret: NAME, key: KEY}"
    ) $name | fail -}}
{{- end -}}
{{- if not (and (kindIs "string" .fromSecret) (regexMatch "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" .fromSecret)) -}}
    {{- fail (print
        "global.apiKey.fromSecret must be the name of a Secret that is in the namespace already, such as "
        "{fromSecret: NAME, key: KEY}"
    ) -}}
{{- end -}}
{{- if .key -}}
    {{- if not (and (kindIs "string" .key) (regexMatch "^[-._a-zA-Z0-9]+$" .key)) -}}
        {{- fail (print
            "global.apiKey.key must be the name of an entry of the Secret: letters, digits, dashes, dots and "
            "underscores"
        ) -}}
    {{- end -}}
{{- end -}}
{{- end }}

{{/* The name of the Secret in which the key stands. */}}
{{- define "prometheusmirror.key.secret" -}}
{{- if kindIs "map" .Values.global.apiKey -}}
    {{- .Values.global.apiKey.fromSecret -}}
{{- else -}}
    {{- include "prometheusmirror.fullname" . -}}
{{- end -}}
{{- end }}

{{/* Under which name it stands there. */}}
{{- define "prometheusmirror.key.entry" -}}
{{- $entry := "apiKey" -}}
{{- if kindIs "map" .Values.global.apiKey }}{{ $entry = .Values.global.apiKey.key | default $entry }}{{ end -}}
{{- $entry -}}
{{- end }}

{{/* Mounted as a directory, not by subPath: so a changed Secret reaches the running mirror, which takes it over. */}}
{{- define "prometheusmirror.key.volume" -}}
- name: key
  secret:
    secretName: {{ include "prometheusmirror.key.secret" . | quote }}
    {{- /* 0444, which not every reader of YAML would take for that. The user may be any, and there is no other. */}}
    defaultMode: 292
    items:
      - key: {{ include "prometheusmirror.key.entry" . | quote }}
        path: apiKey
{{- end }}

{{- define "prometheusmirror.key.mount" -}}
- name: key
  mountPath: /etc/prometheusmirror/key
  readOnly: true
{{- end }}

{{- define "prometheusmirror.key.variable" -}}
- name: API_KEY_FILE
  value: /etc/prometheusmirror/key/apiKey
{{- end }}
