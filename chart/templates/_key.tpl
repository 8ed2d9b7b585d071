{{/*
The key: its text (`global.apiKey`), or the Secret that contains it (`global.apiKeyFromSecret`). These are two values, because Helm
cannot replace a text of a parent chart by a map, and prints the text in a warning when it tries. The map `global.apiKey.fromSecret` is
the older form of the second. Errors never repeat the value.
*/}}

{{/* The text of the key; empty if an existing Secret contains the key. */}}
{{- define "prometheusmirror.key.text" -}}
{{- $given := .Values.global.apiKey -}}
{{- if include "prometheusmirror.key.existing" . -}}
{{- else if or (kindIs "bool" $given) (kindIs "slice" $given) -}}
    {{- fail (print
        "global.apiKey must be a text; true and false are texts only in quotes, or with --set-string. To name a "
        "Secret that holds the key, set global.apiKeyFromSecret"
    ) -}}
{{- else -}}
    {{- /* The mirror also ignores a line break at the end of the key. */ -}}
    {{- $text := include "prometheusmirror.text" (dict "of" $given "name" "global.apiKey") | trimAll "\r\n" -}}
    {{- if not $text -}}
        {{- printf (print
            "global.apiKey is missing, the Api Key of the datasource in StackState: give it with helm %s "
            "%s CHART --set global.apiKey=choose-a-key, or name a Secret that contains it with --set "
            "global.apiKeyFromSecret=NAME"
        ) (.Release.IsUpgrade | ternary "upgrade" "install") .Release.Name | fail -}}
    {{- else if or (gt (len $text) 1024) (not (regexMatch "^[!-~]+$" $text)) -}}
        {{- fail (print
            "global.apiKey must be 1 to 1024 visible ASCII characters, without spaces; its value is secret, so it is "
            "not shown"
        ) -}}
    {{- end -}}
    {{- $text -}}
{{- end -}}
{{- end }}

{{/* The name of the existing Secret that contains the key; empty if the text of the key is given. */}}
{{- define "prometheusmirror.key.existing" -}}
{{- $global := .Values.global -}}
{{- $isMap := kindIs "map" $global.apiKey -}}
{{- $name := $global.apiKeyFromSecret -}}
{{- if not (or (kindIs "invalid" $name) (eq (toString $name) "")) -}}
    {{- /* Users cannot remove a map of a parent chart, but can empty its entry. */ -}}
    {{- $other := $isMap | ternary "global.apiKey.fromSecret" "global.apiKey" -}}
    {{- $given := $global.apiKey }}{{ if $isMap }}{{ $given = $global.apiKey.fromSecret }}{{ end -}}
    {{- if $given -}}
        {{- printf (print
            "%s and global.apiKeyFromSecret are both given: keep one of them, and remove the other with --set %s= "
            "or --set global.apiKeyFromSecret="
        ) $other $other | fail -}}
    {{- end -}}
    {{- include "prometheusmirror.key.checkedName" (list $ "global.apiKeyFromSecret" $name) -}}
{{- else if $global.apiKeySecretEntry -}}
    {{- fail "global.apiKeySecretEntry is given without a Secret: set global.apiKeyFromSecret to the name of that Secret, too" -}}
{{- else if $isMap -}}
    {{- range $field, $_ := omit $global.apiKey "fromSecret" "key" -}}
        {{- printf (print
            "global.apiKey has no %q: it is the key itself, or a map such as {fromSecret: NAME, key: KEY}"
        ) $field | fail -}}
    {{- end -}}
    {{- include "prometheusmirror.key.checkedName" (list $ "global.apiKey.fromSecret" $global.apiKey.fromSecret) -}}
{{- end -}}
{{- end }}

{{/* The name of an existing Secret, checked. Takes a list of the root, the value that contains the name, and the name. */}}
{{- define "prometheusmirror.key.checkedName" -}}
{{- $root := index . 0 }}{{ $value := index . 1 }}{{ $name := index . 2 -}}
{{- /* The value may be the key itself, so the error does not repeat it. */ -}}
{{- if not (and (kindIs "string" $name) (toString $name | include "prometheusmirror.isObjectName")) -}}
    {{- printf (print
        "%s must be the name of a Secret that exists in the namespace; a name of digits only needs quotes, or "
        "--set-string"
    ) $value | fail -}}
{{- end -}}
{{- include "prometheusmirror.foreign" (list $root $value "Secret" $name) -}}
{{- end }}

{{/* The name of the Secret that contains the key. */}}
{{- define "prometheusmirror.key.secret" -}}
{{- include "prometheusmirror.key.existing" . | default (include "prometheusmirror.fullname" .) -}}
{{- end }}

{{/* The entry of that Secret that contains the key. */}}
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

{{/* Mounted as a directory, not by subPath, so that a changed Secret reaches the running mirror, which re-reads it. */}}
{{- define "prometheusmirror.key.volume" -}}
- name: key
  secret:
    secretName: {{ include "prometheusmirror.key.secret" . | quote }}
    {{- /* This is 0444, which some YAML readers would read as decimal. All may read it, because the user of the pod can be any. */}}
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
