{{/*
The key: its text (`global.apiKey`), or the Secret that holds it (`global.apiKeyFromSecret`). These are two values, because Helm
cannot replace a text of a parent chart by a map, and prints the text when it is asked to. The map `global.apiKey.fromSecret` is the
older form of the second. No sentence repeats what was given.
*/}}

{{/* The text of the key; empty when a Secret that exists already holds it. */}}
{{- define "prometheusmirror.key.text" -}}
{{- $given := .Values.global.apiKey -}}
{{- if include "prometheusmirror.key.existing" . -}}
{{- else if or (kindIs "bool" $given) (kindIs "slice" $given) -}}
    {{- fail (print
        "global.apiKey must be a text; true and false are texts only in quotes, or with --set-string. To name a "
        "Secret that holds the key, set global.apiKeyFromSecret"
    ) -}}
{{- else -}}
    {{- /* A file ends with the end of a line, which is no part of the key, for the mirror neither. */ -}}
    {{- $text := include "prometheusmirror.text" (dict "of" $given "name" "global.apiKey") | trimAll "\r\n" -}}
    {{- if not $text -}}
        {{- printf (print
            "global.apiKey is missing, the key that StackState knows as the Api Key of the datasource: helm %s "
            "%s CHART --set global.apiKey=API_KEY; or name a Secret of the namespace that holds it with --set "
            "global.apiKeyFromSecret=NAME"
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

{{/* The name of the Secret that holds the key already; empty when the text of the key is given. */}}
{{- define "prometheusmirror.key.existing" -}}
{{- $global := .Values.global -}}
{{- $isMap := kindIs "map" $global.apiKey -}}
{{- $name := $global.apiKeyFromSecret -}}
{{- if not (or (kindIs "invalid" $name) (eq (toString $name) "")) -}}
    {{- /* A map of a parent chart cannot be taken away, but its entry can be emptied. */ -}}
    {{- $other := $isMap | ternary "global.apiKey.fromSecret" "global.apiKey" -}}
    {{- $given := $global.apiKey }}{{ if $isMap }}{{ $given = $global.apiKey.fromSecret }}{{ end -}}
    {{- if $given -}}
        {{- printf (print
            "%s and global.apiKeyFromSecret are both given: keep one of them, and take the other away with --set %s= "
            "or --set global.apiKeyFromSecret="
        ) $other $other | fail -}}
    {{- end -}}
    {{- include "prometheusmirror.key.checkedName" (list $ "global.apiKeyFromSecret" $name) -}}
{{- else if $global.apiKeySecretEntry -}}
    {{- fail "global.apiKeySecretEntry is an entry of a Secret: set global.apiKeyFromSecret to the name of that Secret, too" -}}
{{- else if $isMap -}}
    {{- range $field, $_ := omit $global.apiKey "fromSecret" "key" -}}
        {{- printf (print
            "global.apiKey has no %q: it is the key itself, or a map such as {fromSecret: NAME, key: KEY}"
        ) $field | fail -}}
    {{- end -}}
    {{- include "prometheusmirror.key.checkedName" (list $ "global.apiKey.fromSecret" $global.apiKey.fromSecret) -}}
{{- end -}}
{{- end }}

{{/* The name of a Secret. Takes a list of the root, the value in which the name is, and the name. */}}
{{- define "prometheusmirror.key.checkedName" -}}
{{- $root := index . 0 }}{{ $value := index . 1 }}{{ $name := index . 2 -}}
{{- /* What is no name may be the key itself, so it is not repeated. */ -}}
{{- if not (and (kindIs "string" $name) (toString $name | include "prometheusmirror.isObjectName")) -}}
    {{- printf (print
        "%s must be the name of a Secret that is in the namespace already; names of digits alone need quotes, or "
        "--set-string"
    ) $value | fail -}}
{{- end -}}
{{- include "prometheusmirror.foreign" (list $root $value "Secret" $name) -}}
{{- end }}

{{/* The name of the Secret in which the key stands. */}}
{{- define "prometheusmirror.key.secret" -}}
{{- include "prometheusmirror.key.existing" . | default (include "prometheusmirror.fullname" .) -}}
{{- end }}

{{/* Under which name it stands there. */}}
{{- define "prometheusmirror.key.entry" -}}
{{- $value := "global.apiKeySecretEntry" -}}
{{- $entry := .Values.global.apiKeySecretEntry -}}
{{- if and (kindIs "map" .Values.global.apiKey) (not .Values.global.apiKeyFromSecret) -}}
    {{- $value = "global.apiKey.key" -}}
    {{- $entry = .Values.global.apiKey.key -}}
{{- end -}}
{{- $entry = $entry | default "apiKey" -}}
{{- if not (and (kindIs "string" $entry) (regexMatch "^[-._a-zA-Z0-9]+$" (toString $entry))) -}}
    {{- printf (print
        "%s must be the name of an entry of the Secret: letters, digits, dashes, dots and underscores"
    ) $value | fail -}}
{{- end -}}
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
