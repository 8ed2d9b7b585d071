{{/*
Names, and the image. The rules for names of Services are the strictest, so all objects follow them.
*/}}

{{- define "prometheusmirror.name" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- include "prometheusmirror.checkedName" (dict "name" $name "value" "nameOverride") -}}
{{- end }}

{{- define "prometheusmirror.fullname" -}}
{{- $fullname := .Values.fullnameOverride -}}
{{- if not $fullname -}}
    {{- $name := include "prometheusmirror.name" . -}}
    {{- /* The name of a release may contain dots, the name of a Service may not. */ -}}
    {{- $release := replace "." "-" .Release.Name -}}
    {{- $fullname = contains $name $release | ternary $release (printf "%s-%s" $release $name) -}}
    {{- $fullname = $fullname | trunc 63 | regexFind "^.*[^-]" -}}
{{- end -}}
{{- include "prometheusmirror.checkedName" (dict "name" $fullname "value" "fullnameOverride") -}}
{{- end }}

{{/* A name that a Service may have. Takes the name, and the value with which a user can change it. */}}
{{- define "prometheusmirror.checkedName" -}}
{{- if or (gt (len .name) 63) (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .name)) -}}
    {{- printf (print
        "%q cannot be the name of a Service, which has at most 63 lower-case letters, digits and dashes, begins "
        "with a letter and does not end with a dash: give another one with --set %s=NAME"
    ) .name .value | fail -}}
{{- end -}}
{{- .name -}}
{{- end }}

{{/* The name of the pod of `helm test`. It is also the host name of the pod, so it has at most 63 characters. */}}
{{- define "prometheusmirror.testName" -}}
{{- printf "%s-test" (include "prometheusmirror.fullname" . | trunc 58 | regexFind "^.*[^-]") -}}
{{- end }}

{{/* The namespace of the objects. */}}
{{- define "prometheusmirror.namespace" -}}
{{- include "prometheusmirror.checkedNamespace" (list "namespaceOverride" (.Values.namespaceOverride | default .Release.Namespace)) -}}
{{- end }}

{{/* The name of a namespace, checked; an empty name stays empty. Takes a list of the value that contains it, and the name. */}}
{{- define "prometheusmirror.checkedNamespace" -}}
{{- $name := last . | default "" -}}
{{- if not (regexMatch "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$" $name) -}}
    {{- printf (print
        "%s: %q cannot be the name of a namespace: at most 63 lower-case letters, digits and dashes, and no dash at "
        "either end"
    ) (first .) $name | fail -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* Whether a text can be the name of an object: `yes`, or nothing. Takes the text. */}}
{{- define "prometheusmirror.isObjectName" -}}
{{- $part := "[a-z0-9]([-a-z0-9]*[a-z0-9])?" -}}
{{- if and (le (len .) 253) (regexMatch (printf "^%s(\\.%s)*$" $part $part) .) }}yes{{ end -}}
{{- end }}

{{/* The name of an existing object, checked. Takes a list of the value that contains it, and the name. */}}
{{- define "prometheusmirror.objectName" -}}
{{- $name := last . -}}
{{- if not (include "prometheusmirror.isObjectName" $name) -}}
    {{- printf (print
        "%s: %q cannot be the name of an object of Kubernetes: at most 253 lower-case letters, digits, dashes and dots, "
        "with a letter or digit at both ends"
    ) (first .) $name | fail -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/*
Returns the name of an existing object of the user, and refuses the name of an object of the chart, because Helm would overwrite or
delete the user's object. Takes a list of the root, the value that contains the name, the kind of the object, and the name.
*/}}
{{- define "prometheusmirror.foreign" -}}
{{- $root := index . 0 }}{{ $value := index . 1 }}{{ $kind := index . 2 }}{{ $name := index . 3 -}}
{{- $_ := include "prometheusmirror.objectName" (list $value $name) -}}
{{- $suffixes := dict
    "Secret" (list "" "-env" "-proxy" "-upstreams")
    "ConfigMap" (list "-certificates" "-dashboard" "-service-ca")
    "ServiceAccount" (list "") -}}
{{- range get $suffixes $kind -}}
    {{- if eq $name (printf "%s%s" (include "prometheusmirror.fullname" $root) .) -}}
        {{- printf (print
            "%s: %q is the name of a %s of this chart, so Helm would overwrite or delete yours: use another name for it"
        ) $value $name $kind | fail -}}
    {{- end -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* The image, the same for every container. Takes the root. */}}
{{- define "prometheusmirror.image" -}}
{{- $image := .Values.image -}}
{{- $registry := .Values.global.imageRegistry | default $image.registry | trimSuffix "/" -}}
{{- if contains "://" $registry -}}
    {{- fail (print
        "global.imageRegistry and image.registry must be the name of a registry without https://, such as "
        "registry.example:5000/mirrored"
    ) -}}
{{- end -}}
{{- /* Helm reads 1.10 in a values file as the number 1.1. */ -}}
{{- if kindIs "float64" $image.tag -}}
    {{- fail "image.tag is a number that Helm may have changed: put it in quotes" -}}
{{- end -}}
{{- $tag := include "prometheusmirror.text" (dict "of" $image.tag "name" "image.tag") -}}
{{- $name := printf "%s/%s" $registry $image.repository -}}
{{- if or $tag (not $image.digest) }}{{ $name = printf "%s:%s" $name ($tag | default .Chart.AppVersion) }}{{ end -}}
{{- with $image.digest }}{{ $name = printf "%s@%s" $name . }}{{ end -}}
{{- $host := "([-.a-zA-Z0-9]+|\\[[0-9a-fA-F:]+\\])(:[0-9]+)?" -}}
{{- $path := "(/[a-z0-9]+([-._]+[a-z0-9]+)*)+" -}}
{{- if not (regexMatch (printf "^%s%s(:[a-zA-Z0-9_][-.a-zA-Z0-9_]{0,127})?(@sha256:[0-9a-f]{64})?$" $host $path) $name) -}}
    {{- printf (print
        "%q cannot be the name of an image: see global.imageRegistry and image.registry, image.repository, "
        "which has no tag in it, image.tag and image.digest"
    ) $name | fail -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* The secrets for pulling images, as in a pod. Takes the root. */}}
{{- define "prometheusmirror.pullSecrets" -}}
{{- $names := list -}}
{{- range concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) -}}
    {{- $name := . -}}
    {{- if kindIs "map" . }}{{ $name = .name }}{{ end -}}
    {{- if not (and $name (kindIs "string" $name)) -}}
        {{- fail (print
            "each item of global.imagePullSecrets and imagePullSecrets must be the name of a Secret, or a map such as "
            "{name: NAME}"
        ) -}}
    {{- end -}}
    {{- $name = include "prometheusmirror.foreign" (list $ "imagePullSecrets" "Secret" $name) -}}
    {{- $names = append $names (dict "name" $name) -}}
{{- end -}}
{{- with $names }}{{ uniq . | toYaml }}{{ end -}}
{{- end }}
