{{/*
What the pods of the mirror and the pod of `helm test` have in common. So a cluster that accepts one accepts the other.
*/}}

{{/* Fields of a pod. Takes the root. */}}
{{- define "prometheusmirror.pod" -}}
{{- include "prometheusmirror.pod.check" . -}}
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
{{- include "prometheusmirror.checkedLabels" (list "nodeSelector" $nodes) }}
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

{{/* Refuses pods that Kubernetes would refuse, before Helm changes any object. Takes the root. */}}
{{- define "prometheusmirror.pod.check" -}}
{{- range .Values.hostAliases }}{{ include "prometheusmirror.checkedAddress" (list "hostAliases" .ip) }}{{ end -}}
{{- $servers := (.Values.dnsConfig).nameservers -}}
{{- range $servers }}{{ include "prometheusmirror.checkedAddress" (list "dnsConfig.nameservers" .) }}{{ end -}}
{{- if and (eq (toString .Values.dnsPolicy) "None") (not $servers) -}}
    {{- fail "dnsPolicy is None, so the pods need name servers of yours: set dnsConfig.nameservers to 1 to 3 IP addresses" -}}
{{- end -}}
{{- range $at, $toleration := .Values.tolerations -}}
    {{- $isExists := eq (toString .operator) "Exists" -}}
    {{- if and $isExists (not (has (toString .value) (list "" "<nil>"))) -}}
        {{- printf "tolerations[%d] has a value, which does not go with the operator Exists: remove one of them" $at | fail -}}
    {{- else if not (or $isExists .key) -}}
        {{- printf "tolerations[%d] has no key: give one, or the operator Exists for every taint" $at | fail -}}
    {{- else if and (not (kindIs "invalid" .tolerationSeconds)) (ne (toString .effect) "NoExecute") -}}
        {{- printf "tolerations[%d] has tolerationSeconds, which needs the effect NoExecute" $at | fail -}}
    {{- end -}}
{{- end -}}
{{- end }}

{{/* The volumes that users add. Kubernetes refuses two volumes of one name, also of the chart's own. Takes the root. */}}
{{- define "prometheusmirror.extraVolumes" -}}
{{- $names := list "key" "proxy" "certificates" "upstreams" -}}
{{- range .Values.upstreamFiles }}{{ $names = printf "files-%s" .name | append $names }}{{ end -}}
{{- range .Values.extraVolumes -}}
    {{- if has .name $names -}}
        {{- printf "extraVolumes: the name %q is taken: give the volume another one" .name | fail -}}
    {{- end -}}
    {{- $names = append $names .name -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
    {{- if not (has .name $names) -}}
        {{- printf "extraVolumeMounts: there is no volume %q: add it to extraVolumes" .name | fail -}}
    {{- end -}}
{{- end -}}
{{- with .Values.extraVolumes }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* The mounts of these volumes. Kubernetes refuses two mounts at one path. Takes the root. */}}
{{- define "prometheusmirror.extraVolumeMounts" -}}
{{- $paths := list -}}
{{- range list "key" "proxy" "certificates" "upstreams" }}{{ $paths = printf "/etc/prometheusmirror/%s" . | append $paths }}{{ end -}}
{{- range .Values.upstreamFiles }}{{ $paths = printf "/etc/prometheusmirror/files/%s" .name | append $paths }}{{ end -}}
{{- range .Values.extraVolumeMounts -}}
    {{- $path := trimSuffix "/" .mountPath -}}
    {{- if has $path $paths -}}
        {{- printf "extraVolumeMounts: the path %q is taken: mount the volume %q at another one" .mountPath .name | fail -}}
    {{- end -}}
    {{- $paths = append $paths $path -}}
{{- end -}}
{{- with .Values.extraVolumeMounts }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* The service account of the pods, or nothing. */}}
{{- define "prometheusmirror.serviceAccount" -}}
{{- if and .Values.serviceAccount.annotations (not .Values.serviceAccount.create) -}}
    {{- fail "serviceAccount.annotations are for a service account that the chart creates: set serviceAccount.create to true, or annotate the account yourself" -}}
{{- end -}}
{{- with .Values.serviceAccount.name -}}
    {{- if $.Values.serviceAccount.create -}}
        {{- include "prometheusmirror.objectName" (list "serviceAccount.name" .) -}}
    {{- else -}}
        {{- include "prometheusmirror.foreign" (list $ "serviceAccount.name" "ServiceAccount" .) -}}
    {{- end -}}
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
{{- $_ := include "prometheusmirror.sizes" . }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
The resources as numbers, as JSON: requests and limits, each a map of resources. Checks quantities, and that no request exceeds its
limit. Takes the root.
*/}}
{{- define "prometheusmirror.sizes" -}}
{{- $root := . -}}
{{- $number := "([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][-+]?[0-9]+)?" -}}
{{- $factors := dict
    "" 1.0 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0
    "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0
-}}
{{- $sizes := dict "requests" dict "limits" dict -}}
{{- range $part, $size := $sizes -}}
    {{- range $resource, $quantity := get ($root.Values.resources | default dict) $part | default dict -}}
        {{- if not (regexMatch "^(cpu|memory|ephemeral-storage|hugepages-.+|.+/.+)$" $resource) -}}
            {{- printf "resources.%s: %q is not a resource such as cpu, memory or example.com/device" $part $resource | fail -}}
        {{- end -}}
        {{- $text := toString $quantity -}}
        {{- $unit := regexReplaceAll (printf "^%s" $number) $text "" -}}
        {{- if not (and (regexMatch (printf "^%s" $number) $text) (hasKey $factors $unit)) -}}
            {{- printf (print
                "resources.%s.%s: %q is not a quantity such as 500m or 2 of cpu, or 64Mi or 1Gi of memory"
            ) $part $resource $text | fail -}}
        {{- end -}}
        {{- $_ := set $size $resource (trimSuffix $unit $text | float64 | mulf (get $factors $unit)) -}}
    {{- end -}}
{{- end -}}
{{- range $resource, $request := $sizes.requests -}}
    {{- if and (hasKey $sizes.limits $resource) (gt $request (get $sizes.limits $resource)) -}}
        {{- printf "resources.requests.%s is more than resources.limits.%s" $resource $resource | fail -}}
    {{- end -}}
{{- end -}}
{{- toJson $sizes -}}
{{- end }}

{{/*
A checksum of the values that the running mirror does not re-read, so that a change replaces the pods; nothing if there are none. The
mirror re-reads the key and the upstreams, so they are not part of it. Takes the root.
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
