{{/*
Named upstreams: their file, and the files that it names. The file may contain secrets, so errors repeat only the names of upstreams
and of folders that this chart mounts.
*/}}

{{/* The path of the upstreams file in the pods, or nothing if there is no such file. */}}
{{- define "prometheusmirror.upstreams.path" -}}
{{- $secret := (.Values.upstreamsFromSecret).name -}}
{{- if and .Values.upstreams $secret -}}
    {{- fail "upstreams and upstreamsFromSecret.name are both given: remove one of them" -}}
{{- end -}}
{{- if .Values.upstreams -}}
    {{- include "prometheusmirror.upstreams.check" . -}}
    /etc/prometheusmirror/upstreams/upstreams.yaml
{{- else if $secret -}}
    {{- $_ := include "prometheusmirror.foreign" (list $ "upstreamsFromSecret.name" "Secret" $secret) -}}
    {{- printf "/etc/prometheusmirror/upstreams/%s" ((.Values.upstreamsFromSecret).key | default "upstreams.yaml") -}}
{{- else if .Values.namedUpstreamsOnly -}}
    {{- fail "namedUpstreamsOnly is true, but there are no named upstreams: give upstreams or upstreamsFromSecret.name" -}}
{{- end -}}
{{- end }}

{{/* Checks that the schema cannot explain. The mirror checks the rest when it reads the file. */}}
{{- define "prometheusmirror.upstreams.check" -}}
{{- $names := list -}}
{{- range .Values.upstreams -}}
    {{- $upstream := . -}}
    {{- if has .name $names -}}
        {{- printf "upstreams: two have the name %q: give each its own" .name | fail -}}
    {{- end -}}
    {{- $names = append $names .name -}}
    {{- if eq (empty .url) (empty .urls) -}}
        {{- printf "upstreams: %q must have either url or urls" .name | fail -}}
    {{- end -}}
    {{- range concat (list .url) (.urls | default list) | compact -}}
        {{- if not (regexMatch "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$" .) -}}
            {{- fail (print
                (printf "upstreams: the URL of %q must be like https://prometheus.example:9090/prefix" $upstream.name)
                ", without user, password and query: credentials have keys of their own, such as basic_auth"
            ) -}}
        {{- end -}}
    {{- end -}}
    {{- $given := list -}}
    {{- range list "basic_auth" "authorization" "oauth2" "sigv4" "bearer_token" "bearer_token_file" -}}
        {{- if and (hasKey $upstream .) (not (kindIs "invalid" (get $upstream .))) }}{{ $given = append $given . }}{{ end -}}
    {{- end -}}
    {{- if gt (len $given) 1 -}}
        {{- printf "upstreams: %q has %s: keep one of them" .name (join " and " $given) | fail -}}
    {{- end -}}
    {{- include "prometheusmirror.upstreams.checkPaths" (list $ .) -}}
{{- end -}}
{{- end }}

{{/* Checks that the pods have the files that an upstream names. Takes a list of the root and the upstream. */}}
{{- define "prometheusmirror.upstreams.checkPaths" -}}
{{- $root := first . }}{{ $upstream := last . -}}
{{- /* The folder of the upstreams file is beside that of the files. */ -}}
{{- $text := toJson $upstream | replace "\"../files/" "\"/etc/prometheusmirror/files/" -}}
{{- if regexMatch "(_file\":|\"files\":\\[(\"[^\"]*\",)*)\"([^/.\"]|\\.[^.])" $text -}}
    {{- printf "upstreams: %q names a file without its folder: write /etc/prometheusmirror/files/NAME/FILE for a file of upstreamFiles" $upstream.name | fail -}}
{{- end -}}
{{- $mounted := list -}}
{{- range $root.Values.upstreamFiles }}{{ $mounted = append $mounted (printf "/etc/prometheusmirror/files/%s/" .name) }}{{ end -}}
{{- range $root.Values.extraVolumeMounts }}{{ $mounted = append $mounted (printf "%s/" (trimSuffix "/" .mountPath)) }}{{ end -}}
{{- $token := "/var/run/secrets/kubernetes.io/serviceaccount/" -}}
{{- if ($root.Values.serviceAccount).mountToken }}{{ $mounted = append $mounted $token }}{{ end -}}
{{- range regexFindAll (printf "\"(/etc/prometheusmirror/files/|%s)[^\"]*" $token) $text -1 -}}
    {{- $path := trimPrefix "\"" . }}{{ $found := false -}}
    {{- range $mounted }}{{ if hasPrefix . $path }}{{ $found = true }}{{ end }}{{ end -}}
    {{- if and (not $found) (hasPrefix $token $path) -}}
        {{- printf "upstreams: %q reads the token of the service account: set serviceAccount.mountToken to true" $upstream.name | fail -}}
    {{- else if not $found -}}
        {{- printf "upstreams: %q names the file %s, but upstreamFiles does not mount its folder: add an item with the name of the folder" $upstream.name $path | fail -}}
    {{- end -}}
{{- end -}}
{{- end }}

{{/* The name of the Secret that contains the file. */}}
{{- define "prometheusmirror.upstreams.secret" -}}
{{- (.Values.upstreamsFromSecret).name | default (printf "%s-upstreams" (include "prometheusmirror.fullname" .)) -}}
{{- end }}

{{/* Mounted as directories, not by subPath, so that changed files reach the running mirror, which re-reads them. */}}
{{- define "prometheusmirror.upstreams.volumes" -}}
{{- if include "prometheusmirror.upstreams.path" . }}
- name: upstreams
  secret:
    secretName: {{ include "prometheusmirror.upstreams.secret" . | quote }}
    defaultMode: 292
{{- end }}
{{- range .Values.upstreamFiles }}
{{- include "prometheusmirror.upstreams.checkFiles" (list $ .) }}
- name: {{ printf "files-%s" .name | quote }}
  {{- if .secret }}
  secret:
    secretName: {{ quote .secret }}
    defaultMode: 292
  {{- else if .configMap }}
  configMap:
    name: {{ quote .configMap }}
    defaultMode: 292
  {{- else }}
  configMap:
    name: {{ include "prometheusmirror.upstreams.serviceCa" $ | quote }}
    defaultMode: 292
    {{- /* The entry is named here, so that pods start only after OpenShift has added it. */}}
    items:
      - key: service-ca.crt
        path: service-ca.crt
  {{- end }}
{{- end }}
{{- end }}

{{- define "prometheusmirror.upstreams.mounts" -}}
{{- if include "prometheusmirror.upstreams.path" . }}
- name: upstreams
  mountPath: /etc/prometheusmirror/upstreams
  readOnly: true
{{- end }}
{{- range .Values.upstreamFiles }}
- name: {{ printf "files-%s" .name | quote }}
  mountPath: {{ printf "/etc/prometheusmirror/files/%s" .name | quote }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Takes a list of the root and an item of upstreamFiles. */}}
{{- define "prometheusmirror.upstreams.checkFiles" -}}
{{- $root := first . }}{{ $item := last . -}}
{{- $given := 0 -}}
{{- range list $item.secret $item.configMap $item.serviceCa }}{{ if . }}{{ $given = add1 $given }}{{ end }}{{ end -}}
{{- range $kind, $name := dict "Secret" $item.secret "ConfigMap" $item.configMap -}}
    {{- with $name }}{{ $_ := include "prometheusmirror.foreign" (list $root "upstreamFiles" $kind .) }}{{ end -}}
{{- end -}}
{{- if ne (int $given) 1 -}}
    {{- printf "upstreamFiles: %q must have exactly one of secret, configMap and serviceCa" $item.name | fail -}}
{{- end -}}
{{- $namesakes := 0 -}}
{{- range $root.Values.upstreamFiles }}{{ if eq .name $item.name }}{{ $namesakes = add1 $namesakes }}{{ end }}{{ end -}}
{{- if gt (int $namesakes) 1 -}}
    {{- printf "upstreamFiles: two have the name %q: give each its own" $item.name | fail -}}
{{- end -}}
{{- end }}

{{/* The name of the ConfigMap to which OpenShift adds its service CA. */}}
{{- define "prometheusmirror.upstreams.serviceCa" -}}
{{- printf "%s-service-ca" (include "prometheusmirror.fullname" .) -}}
{{- end }}
