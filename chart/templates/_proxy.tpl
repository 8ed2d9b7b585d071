{{/*
The proxy. global.proxy.url may contain a password, so errors do not repeat it. The templates do not use the function urlParse, because
its errors would show the URL.
*/}}

{{/* The URL, or nothing. */}}
{{- define "prometheusmirror.proxy.url" -}}
{{- $url := (.Values.global.proxy).url | default "" | trim -}}
{{- if $url -}}
    {{- $credentials := "([^/?#@\\s]+@)?" -}}
    {{- $host := "([^/?#@:\\[\\]\\s]+|\\[[0-9a-fA-F:.]+\\])" -}}
    {{- $form := printf "^(?i:https?)://%s%s(:[0-9]{1,5})?/?$" $credentials $host -}}
    {{- $port := include "prometheusmirror.proxy.port" $url | int -}}
    {{- if not (and (regexMatch $form $url) (ge $port 1) (le $port 65535)) -}}
        {{- fail (print
            "global.proxy.url must be a URL such as http://user:password@proxy.example:3128, without a path; "
            "its value may be secret, so it is not shown"
        ) -}}
    {{- end -}}
    {{- $url -}}
{{- end -}}
{{- end }}

{{/* The port of a proxy. Takes its URL. */}}
{{- define "prometheusmirror.proxy.port" -}}
{{- $port := trimSuffix "/" . | regexFind ":[0-9]+$" | trimPrefix ":" -}}
{{- $port | default (hasPrefix "https" (lower .) | ternary "443" "80") -}}
{{- end }}
