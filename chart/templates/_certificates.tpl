{{/*
The user's own CA certificates, with the values of StackState's charts: the certificates, or an existing ConfigMap.
*/}}

{{/* The name of the ConfigMap, or nothing. */}}
{{- define "prometheusmirror.certificates.configMap" -}}
{{- with .Values.global.customCertificates -}}
{{- if .enabled -}}
    {{- if and .pemData .configMapName -}}
        {{- fail "global.customCertificates has pemData and configMapName: choose one" -}}
    {{- else if .configMapName -}}
        {{- include "prometheusmirror.foreign" (list $ "global.customCertificates.configMapName" "ConfigMap" .configMapName) -}}
    {{- else if .pemData -}}
        {{- include "prometheusmirror.certificates.check" .pemData -}}
        {{- printf "%s-certificates" (include "prometheusmirror.fullname" $) -}}
    {{- else -}}
        {{- fail (print
            "global.customCertificates is enabled without certificates: give them with --set-file "
            "global.customCertificates.pemData=FILE, or name a ConfigMap that holds them with --set "
            "global.customCertificates.configMapName=NAME"
        ) -}}
    {{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Checks PEM. It becomes a ConfigMap, which many users can read, so it must not contain a private key. */}}
{{- define "prometheusmirror.certificates.check" -}}
{{- if gt (len .) 1000000 -}}
    {{- fail "global.customCertificates.pemData has more than 1000000 bytes, and a ConfigMap holds no more: leave out what the mirror does not need" -}}
{{- end -}}
{{- if contains "PRIVATE KEY" . -}}
    {{- fail (print
        "global.customCertificates.pemData holds a private key, which the mirror does not need: keep only the "
        "certificates"
    ) -}}
{{- end -}}
{{- if not (contains "-----BEGIN CERTIFICATE-----" .) -}}
    {{- fail (print
        "global.customCertificates.pemData holds no certificate in PEM: its first line is -----BEGIN "
        "CERTIFICATE-----"
    ) -}}
{{- end -}}
{{- end }}
