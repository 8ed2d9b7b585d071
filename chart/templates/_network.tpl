{{/*
Host names, networks and the kinds of Service: what Kubernetes would refuse only after it has changed other objects is refused
before.
*/}}

{{/* A host name of an Ingress or a route. Takes a list of the value in which it is, and the name. */}}
{{- define "prometheusmirror.hostname" -}}
{{- $value := first . }}{{ $host := last . -}}
{{- $label := "[a-z0-9]([-a-z0-9]*[a-z0-9])?" -}}
{{- $form := printf "^(\\*\\.)?%s(\\.%s)*$" $label $label -}}
{{- if not (and (kindIs "string" $host) (le (len (toString $host)) 253) (regexMatch $form (toString $host))) -}}
    {{- printf (print
        "%s: %q is not a host name in lower case, such as mirror.example or *.example, without scheme, port and path"
    ) $value $host | fail -}}
{{- end -}}
{{- $host -}}
{{- end }}

{{/* A network such as 10.1.2.0/24. Takes a list of the value in which it is, and the network. */}}
{{- define "prometheusmirror.network" -}}
{{- $value := first . }}{{ $network := last . -}}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" -}}
{{- $four := printf "^%s(\\.%s){3}/([0-9]|[12][0-9]|3[0-2])$" $octet $octet -}}
{{- $six := "^[0-9a-fA-F:]+/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$" -}}
{{- $groups := list -}}
{{- $width := 16 -}}
{{- if regexMatch $four $network -}}
    {{- $width = 8 -}}
    {{- range regexSplit "/" $network -1 | first | splitList "." }}{{ $groups = append $groups (int .) }}{{ end -}}
{{- else if regexMatch $six $network -}}
    {{- $groups = regexSplit "/" $network -1 | first | include "prometheusmirror.groups" | fromJsonArray -}}
{{- end -}}
{{- if not $groups -}}
    {{- printf "%s: %q is not a network such as 10.1.2.0/24 or 2001:db8::/32; a single address has /32 or /128" $value $network | fail -}}
{{- end -}}
{{- $prefix := regexSplit "/" $network -1 | last | int -}}
{{- range $at, $group := $groups -}}
    {{- /* How many bits of this group belong to the host, and the size of what they can say. */ -}}
    {{- $bits := min $width (max 0 (sub (mul $width (add1 $at)) $prefix)) -}}
    {{- $size := 1 -}}
    {{- range until (int $bits) }}{{ $size = mul $size 2 }}{{ end -}}
    {{- if mod (int $group) $size -}}
        {{- printf (print
            "%s: %q has bits set beyond its prefix of %d: give the first address of the network, or a longer prefix"
        ) $value $network $prefix | fail -}}
    {{- end -}}
{{- end -}}
{{- $network -}}
{{- end }}

{{/* The eight groups of an IPv6 address, as a JSON array of numbers; an empty one if it is not an address. Takes the address. */}}
{{- define "prometheusmirror.groups" -}}
{{- $halves := splitList "::" . -}}
{{- $head := first $halves | splitList ":" | compact -}}
{{- $tail := list -}}
{{- $isCut := eq (len $halves) 2 -}}
{{- if $isCut }}{{ $tail = last $halves | splitList ":" | compact }}{{ end -}}
{{- $missing := sub 8 (add (len $head) (len $tail)) -}}
{{- $isValid := ternary (ge (int $missing) 1) (eq (int $missing) 0) $isCut -}}
{{- if or (gt (len $halves) 2) (regexMatch "(^:[^:]|[^:]:$|:::)" .) }}{{ $isValid = false }}{{ end -}}
{{- $groups := list -}}
{{- if $isValid -}}
    {{- $zeros := list -}}
    {{- range until (int $missing) }}{{ $zeros = append $zeros "0" }}{{ end -}}
    {{- range concat $head $zeros $tail -}}
        {{- if gt (len .) 4 }}{{ $isValid = false }}{{ end -}}
        {{- $groups = append $groups (printf "0x%s" . | int64) -}}
    {{- end -}}
{{- end -}}
{{- $isValid | ternary $groups list | toJson -}}
{{- end }}

{{/* Checks the networks among the peers of a NetworkPolicy. Takes a list of the value in which they are, and the peers. */}}
{{- define "prometheusmirror.checkedPeers" -}}
{{- $value := first . -}}
{{- range $peer := last . -}}
    {{- with $peer.ipBlock -}}
        {{- $_ := include "prometheusmirror.network" (list $value (toString .cidr)) -}}
        {{- range .except }}{{ $_ := include "prometheusmirror.network" (list $value (toString .)) }}{{ end -}}
    {{- end -}}
{{- end -}}
{{- end }}

{{/* What goes with which type of Service. Takes the root. */}}
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
{{- range $service.loadBalancerSourceRanges -}}
    {{- $_ := include "prometheusmirror.network" (list "service.loadBalancerSourceRanges" .) -}}
{{- end -}}
{{- if and (gt (len ($service.ipFamilies | default list)) 1) (not (hasSuffix "DualStack" ($service.ipFamilyPolicy | default ""))) -}}
    {{- fail "service.ipFamilies with two families needs service.ipFamilyPolicy to be PreferDualStack or RequireDualStack" -}}
{{- end -}}
{{- end }}
