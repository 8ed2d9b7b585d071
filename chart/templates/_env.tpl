{{/*
The environment of the mirror: the settings of the chart, and the variables that users add.
*/}}

{{/* The port that the mirror listens on. It does not run as root, so it cannot listen below 1024. */}}
{{- define "prometheusmirror.containerPort" -}}
{{- ge (int .Values.port) 1024 | ternary (int .Values.port) 9900 -}}
{{- end }}

{{- define "prometheusmirror.env" -}}
{{- include "prometheusmirror.key.variable" . }}
- name: REQUIRE_API_KEY
  value: {{ quote .Values.requireApiKey }}
- name: ALLOW_UPSTREAM
  value: {{ include "prometheusmirror.hosts" (list "allowUpstream" "*.example" .Values.allowUpstream) | quote }}
- name: NAMED_UPSTREAMS_ONLY
  value: {{ .Values.namedUpstreamsOnly | default false | quote }}
- name: EXPLORER
  {{- /* Null, for instance after an upgrade that keeps the old values, means the default. */}}
  value: {{ ne .Values.explorer false | quote }}
{{- with include "prometheusmirror.upstreams.path" . }}
- name: UPSTREAMS_FILE
  value: {{ quote . }}
{{- end }}
- name: PORT
  value: {{ include "prometheusmirror.containerPort" . | quote }}
- name: WORKERS
  value: {{ int64 .Values.workers | quote }}
{{- if not (kindIs "invalid" .Values.queueSize) }}
- name: QUEUE_SIZE
  value: {{ int64 .Values.queueSize | quote }}
{{- end }}
- name: MAX_REQUEST_BYTES
  value: {{ int64 .Values.maxRequestBytes | quote }}
- name: MEMORY_BUDGET_MIB
  value: {{ int64 .Values.memoryBudgetMib | quote }}
- name: CONNECTION_LIFETIME
  value: {{ int64 .Values.connectionLifetime | quote }}
- name: SHUTDOWN_DELAY
  value: {{ int64 .Values.shutdownDelay | quote }}
- name: SHUTDOWN_GRACE
  value: {{ int64 .Values.shutdownGrace | quote }}
- name: LOG_LEVEL
  value: {{ quote .Values.logLevel }}
- name: LOG_FORMAT
  value: {{ quote .Values.logFormat }}
{{- if include "prometheusmirror.certificates.configMap" . }}
- name: CA_PATH
  value: /etc/prometheusmirror/certificates
{{- end }}
{{- if include "prometheusmirror.proxy.url" . }}
- name: PROXY_FILE
  value: /etc/prometheusmirror/proxy/url
- name: NO_PROXY
  {{- /* The mirror ignores an empty variable, but reads a comma as an empty list. */}}
  value: {{ include "prometheusmirror.hosts" (list "noProxy" ".example" .Values.noProxy) | default "," | quote }}
{{- end }}
{{- include "prometheusmirror.extraEnv" . }}
{{- end }}

{{/* The variables that users add. Two of one name are refused, because it is not defined which one counts. */}}
{{- define "prometheusmirror.extraEnv" -}}
{{- $seen := dict -}}
{{- $open := dict -}}
{{- include "prometheusmirror.collect" (dict "root" . "from" "global.extraEnv.open" "into" $open) -}}
{{- range $name, $value := $open }}
{{- include "prometheusmirror.checkedVariable" (list $ "global.extraEnv.open" $name $seen) }}
- name: {{ quote $name }}
  value: {{ quote $value }}
{{- end }}
{{- range $name, $_ := include "prometheusmirror.secretEnv" . | fromYaml }}
{{- include "prometheusmirror.checkedVariable" (list $ "global.extraEnv.secret" $name $seen) }}
- name: {{ quote $name }}
  valueFrom:
    secretKeyRef:
      name: {{ printf "%s-env" (include "prometheusmirror.fullname" $) | quote }}
      key: {{ quote $name }}
{{- end }}
{{- range $at, $variable := .Values.extraEnv }}
{{- include "prometheusmirror.checkedVariable" (list $ "extraEnv" $variable.name $seen) }}
{{- if and $variable.value $variable.valueFrom }}
{{- printf "extraEnv: %s has value and valueFrom: keep one of them" $variable.name | fail }}
{{- end }}
{{- if hasKey $variable "value" }}
{{- $text := include "prometheusmirror.text" (dict "of" $variable.value "name" (printf "extraEnv[%d].value" $at)) }}
{{- $variable = set (deepCopy $variable) "value" $text }}
{{- end }}
{{ list $variable | toYaml }}
{{- end }}
{{- end }}

{{/* The secret variables as YAML, without those that are null. */}}
{{- define "prometheusmirror.secretEnv" -}}
{{- $variables := dict -}}
{{- include "prometheusmirror.collect" (dict "root" . "from" "global.extraEnv.secret" "into" $variables) -}}
{{- toYaml $variables -}}
{{- end }}

{{/* Checks the name of a variable. Takes a list: the root, the value that adds the variable, its name, and the names before it. */}}
{{- define "prometheusmirror.checkedVariable" -}}
{{- $root := index . 0 }}{{ $in := index . 1 }}{{ $name := index . 2 }}{{ $seen := index . 3 -}}
{{- if not (and (kindIs "string" $name) (regexMatch "^[-._a-zA-Z][-._a-zA-Z0-9]*$" (toString $name))) -}}
    {{- printf (print
        "%s: the name of a variable is a text of letters, digits, dashes, dots and underscores, and does not "
        "begin with a digit; names such as Y and N need quotes"
    ) $in | fail -}}
{{- end -}}
{{- $own := dict
    "API_KEY" "global.apiKey"
    "API_KEY_FILE" "global.apiKey"
    "REQUIRE_API_KEY" "requireApiKey"
    "ALLOW_UPSTREAM" "allowUpstream"
    "UPSTREAMS_FILE" "upstreams"
    "NAMED_UPSTREAMS_ONLY" "namedUpstreamsOnly"
    "EXPLORER" "explorer"
    "CA_PATH" "global.customCertificates"
    "PROXY" "global.proxy.url"
    "PROXY_FILE" "global.proxy.url"
    "NO_PROXY" "noProxy"
    "CONNECTION_LIFETIME" "connectionLifetime"
    "PORT" "port"
    "WORKERS" "workers"
    "QUEUE_SIZE" "queueSize"
    "MAX_REQUEST_BYTES" "maxRequestBytes"
    "MEMORY_BUDGET_MIB" "memoryBudgetMib"
    "SHUTDOWN_DELAY" "shutdownDelay"
    "SHUTDOWN_GRACE" "shutdownGrace"
    "LOG_LEVEL" "logLevel"
    "LOG_FORMAT" "logFormat"
-}}
{{- /* Many sites set this variable in all pods. Without global.proxy.url it does not matter to the mirror. */ -}}
{{- if not (include "prometheusmirror.proxy.url" $root) }}{{ $own = omit $own "NO_PROXY" }}{{ end -}}
{{- if hasKey $own $name -}}
    {{- printf "%s: the chart sets %s: use the value %s instead" $in $name (get $own $name) | fail -}}
{{- end -}}
{{- if hasKey $seen $name -}}
    {{- printf "%s: %s is given twice: choose one" $in $name | fail -}}
{{- end -}}
{{- $_ := set $seen $name true -}}
{{- end }}
