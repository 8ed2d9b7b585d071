{{/*
The proxy: global.proxy.url may hold a password. It is repeated by no sentence, and taken apart by hand here, since an
error of the function urlParse would show it.
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
            "what it was given is not shown here"
        ) -}}
    {{- end -}}
    {{- $url -}}
{{- end -}}
{{- end }}

{{/* The port of the proxy at the URL that it takes. */}}
{{- define "prometheusmirror.proxy.port" -}}
{{- $port := trimSuffix "/" . | regexFind ":[0-9]+$" | trimPrefix ":" -}}
{{- $port | default (hasPrefix "https" (lower .) | ternary "443" "80") -}}
{{- end }}
