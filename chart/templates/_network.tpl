{{/*
Host names, networks and types of Service. These checks refuse what Kubernetes would refuse, before Helm changes any object.
*/}}

{{/* A host name of an Ingress or a route, checked. Takes a list of the value that contains it, and the name. */}}
{{- define "prometheusmirror.hostname" -}}
{{- $value := first . }}{{ $host := last . -}}
{{- $label := "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?" -}}
{{- $form := printf "^(\\*\\.)?%s(\\.%s)*$" $label $label -}}
{{- if or (gt (len $host) 253) (not (regexMatch $form $host)) (regexMatch "^[0-9.]+$" $host) -}}
    {{- printf (print
        "%s: %q is not a host name in lower case, such as mirror.example or *.example, without scheme, port and path, "
        "and not an IP address"
    ) $value $host | fail -}}
{{- end -}}
{{- $host -}}
{{- end }}

{{/*
Hosts and networks, checked, as a text with commas. Takes a list of the value that contains them, the form in which it has a domain, and
the hosts. Only the error about a missing asterisk repeats an entry, because a URL may contain a password.
*/}}
{{- define "prometheusmirror.hosts" -}}
{{- $value := index . 0 }}{{ $domain := index . 1 }}{{ $hosts := index . 2 -}}
{{- $port := "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])" -}}
{{- $name := "[-_a-zA-Z0-9]+(\\.[-_a-zA-Z0-9]+)*\\.?" -}}
{{- $form := printf "^(\\*|(\\*\\.|%s)?%s)$" (trimSuffix "example" $domain | regexQuoteMeta) $name -}}
{{- range $at, $entry := $hosts -}}
    {{- $host := regexReplaceAll (printf "^([^:]*[^:*]|\\[.+\\]):%s$" $port) $entry "${1}" -}}
    {{- $address := regexReplaceAll "^\\[(.+)\\]$" $host "${1}" | include "prometheusmirror.bits" -}}
    {{- $network := include "prometheusmirror.networkBits" $entry -}}
    {{- if not (or (regexMatch $form $host) $address $network) -}}
        {{- if and (hasPrefix "." $host) (regexMatch $form (print "*" $host)) -}}
            {{- printf "%s[%d]: write *%s, with an asterisk" $value $at $entry | fail -}}
        {{- end -}}
        {{- printf (print
            "%s[%d] must be a host such as prometheus.monitoring.svc or prometheus.monitoring.svc:9090, without http:// "
            "and without a path; or a domain such as %s, a network such as 10.0.0.0/8, or *"
        ) $value $at $domain | fail -}}
    {{- end -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end }}

{{/* A network such as 10.1.2.0/24, checked. Takes a list of the value that contains it, and the network. */}}
{{- define "prometheusmirror.network" -}}
{{- $value := first . }}{{ $network := last . -}}
{{- $bits := include "prometheusmirror.networkBits" $network -}}
{{- $prefix := splitList "/" $network | last -}}
{{- if not $bits -}}
    {{- printf "%s: %q is not a network such as 10.1.2.0/24 or 2001:db8::/32; a single address has /32 or /128" $value $network | fail -}}
{{- end -}}
{{- if substr (int $prefix) (len $bits) $bits | contains "1" -}}
    {{- printf (print
        "%s: %q has bits set beyond its prefix of %s: give the first address of the network, or a longer prefix"
    ) $value $network $prefix | fail -}}
{{- end -}}
{{- $network -}}
{{- end }}

{{/* The bits of the address of a network such as 10.1.2.0/24; nothing if it is not a network. Takes the network. */}}
{{- define "prometheusmirror.networkBits" -}}
{{- $parts := splitList "/" . -}}
{{- $bits := first $parts | include "prometheusmirror.bits" -}}
{{- $prefix := last $parts -}}
{{- if and (eq (len $parts) 2) (regexMatch "^(0|[1-9][0-9]{0,2})$" $prefix) (le (int $prefix) (len $bits)) -}}
    {{- $bits -}}
{{- end -}}
{{- end }}

{{/* Checks an IP address. Takes a list of the value that contains it, and the address. */}}
{{- define "prometheusmirror.checkedAddress" -}}
{{- if not (last . | include "prometheusmirror.bits") -}}
    {{- printf "%s: %q is not an IP address, such as 192.0.2.7 or 2001:db8::7" (first .) (last .) | fail -}}
{{- end -}}
{{- end }}

{{/* The 32 or 128 bits of an IP address as zeros and ones; nothing if it is not an address. Takes the address. */}}
{{- define "prometheusmirror.bits" -}}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" -}}
{{- if regexMatch (printf "^%s(\\.%s){3}$" $octet $octet) . -}}
    {{- range splitList "." . }}{{ int . | printf "%08b" }}{{ end -}}
{{- else if and (regexMatch "^[0-9a-fA-F:]+$" .) (not (regexMatch "^:[^:]|[^:]:$|:::|::.+::|[^:]{5}" .)) -}}
    {{- $halves := splitList "::" . -}}
    {{- $head := first $halves | splitList ":" | compact -}}
    {{- $tail := rest $halves | join "" | splitList ":" | compact -}}
    {{- $missing := sub 8 (add (len $head) (len $tail)) | int -}}
    {{- if ternary (eq $missing 0) (gt $missing 0) (eq (len $halves) 1) -}}
        {{- range $head }}{{ printf "0x%s" . | int64 | printf "%016b" }}{{ end -}}
        {{- repeat (mul 16 $missing | int) "0" -}}
        {{- range $tail }}{{ printf "0x%s" . | int64 | printf "%016b" }}{{ end -}}
    {{- end -}}
{{- end -}}
{{- end }}

{{/* Checks the peers of a NetworkPolicy. Takes a list of the value that contains them, and the peers. */}}
{{- define "prometheusmirror.checkedPeers" -}}
{{- $value := first . -}}
{{- range $peer := last . -}}
    {{- with $peer.ipBlock -}}
        {{- $network := include "prometheusmirror.network" (list $value .cidr) | splitList "/" -}}
        {{- $fixed := first $network | include "prometheusmirror.bits" | trunc (last $network | int) -}}
        {{- range .except -}}
            {{- $part := include "prometheusmirror.network" (list $value .) | splitList "/" -}}
            {{- $isInside := first $part | include "prometheusmirror.bits" | hasPrefix $fixed -}}
            {{- if or (not $isInside) (le (last $part | int) (last $network | int)) -}}
                {{- printf "%s: except has %q, which is not a part of the network %q" $value . (join "/" $network) | fail -}}
            {{- end -}}
        {{- end -}}
        {{- if not (and (kindIs "invalid" $peer.podSelector) (kindIs "invalid" $peer.namespaceSelector)) -}}
            {{- printf "%s: a peer has ipBlock and a selector: make two peers of it" $value | fail -}}
        {{- end -}}
    {{- end -}}
{{- end -}}
{{- end }}

{{/* Checks that the fields of the Service fit its type. Takes the root. */}}
{{- define "prometheusmirror.service.check" -}}
{{- $service := .Values.service -}}
{{- $outside := list "NodePort" "LoadBalancer" -}}
{{- $types := dict
    "nodePort" $outside
    "externalTrafficPolicy" $outside
    "loadBalancerClass" (list "LoadBalancer")
    "loadBalancerSourceRanges" (list "LoadBalancer")
-}}
{{- range $name, $allowed := $types -}}
    {{- if and (get $service $name) (not (has $service.type $allowed)) -}}
        {{- printf "service.%s needs service.type to be %s, not %s" $name (join " or " $allowed) $service.type | fail -}}
    {{- end -}}
{{- end -}}
{{- with $service.loadBalancerClass -}}
    {{- include "prometheusmirror.checkedNames" (list "service.loadBalancerClass" (dict . "") "a class") -}}
{{- end -}}
{{- range $service.loadBalancerSourceRanges -}}
    {{- $_ := include "prometheusmirror.network" (list "service.loadBalancerSourceRanges" .) -}}
{{- end -}}
{{- if and (gt (len ($service.ipFamilies | default list)) 1) (not (hasSuffix "DualStack" ($service.ipFamilyPolicy | default ""))) -}}
    {{- fail "service.ipFamilies with two families needs service.ipFamilyPolicy to be PreferDualStack or RequireDualStack" -}}
{{- end -}}
{{- end }}
