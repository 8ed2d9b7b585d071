#!/bin/sh
# load.sh: brings the image of the bundle in whose folder it stands to where the nodes of a cluster find it. It stands alone:
# all it needs is a POSIX shell, sha256sum or shasum, and one of the four tools.
set -eu

help() {
    cat <<'HELP'
sh load.sh                loads the image into the engine of this machine
sh load.sh REGISTRY       pushes it to a registry, given as host:port or host:port/path

Either checks the whole bundle against SHA256SUMS first, stops at the first failure, and ends with the helm command that
installs the mirror.

  --with TOOL    docker, podman, skopeo or ctr; without it, the first of them that is there. docker and ctr are there if
                 their engine answers. skopeo has no engine: it loads into the storage of podman and CRI-O. ctr loads for
                 Kubernetes, into the namespace k8s.io, or into CONTAINERD_NAMESPACE.
  --plain-http   the registry speaks no TLS. docker has no flag for that: its daemon has to list the registry under
                 "insecure-registries" in /etc/docker/daemon.json.
  --user NAME    with ctr alone: who pushes. ctr asks for the password.
  --help         this text

Who pushes is who has logged in with `docker login`, `podman login` or `skopeo login`; podman and skopeo take the file of
another login from REGISTRY_AUTH_FILE. For a registry whose certificate your own authority has signed, docker, podman and
skopeo read /etc/docker/certs.d/HOST:PORT/ca.crt; ctr trusts what the machine trusts.
HELP
}

fail() {
    echo "$0: $*" >&2
    exit 1
}

# there TOOL: whether it is on the machine and of use. docker and ctr are nothing without their engine.
there() {
    command -v "$1" >/dev/null 2>&1 || return 1
    case $1 in
    docker | ctr) "$1" version >/dev/null 2>&1 ;;
    esac
}

# as_registry TEXT: sets the registry, or says what is wrong with it. A password that was typed into it is not repeated.
as_registry() {
    case $1 in
    *@*) fail "a registry is given as host:port/path, without who pushes: log in with the tool first, see --help" ;;
    http://*) fail "a registry is given as host:port/path: write ${1#http://} --plain-http" ;;
    *://*) fail "a registry is given as host:port/path: write ${1#*://}" ;;
    '' | /* | *[!A-Za-z0-9._:/-]*) fail "a registry is given as host:port/path, not as '$1'" ;;
    esac
    registry=$1
    while [ "$registry" != "${registry%/}" ]; do
        registry=${registry%/}
    done
}

sha256() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum <"$1"
    else
        shasum -a 256 <"$1"
    fi | cut -d ' ' -f 1
}

# verify: the bundle is as it was made. Each line is compared here rather than by `sha256sum -c`, which passes over lines
# that it cannot read.
verify() {
    command -v sha256sum >/dev/null 2>&1 || command -v shasum >/dev/null 2>&1 ||
        fail "there is neither sha256sum nor shasum to check the bundle with: install coreutils or perl"
    [ -f SHA256SUMS ] || fail "SHA256SUMS is missing: copy the whole bundle again"
    checked=
    while read -r sum file || [ -n "$sum" ]; do
        [ -f "$file" ] || fail "$file is missing: copy the whole bundle again"
        [ "$(sha256 "$file")" = "$sum" ] || fail "$file is not as it was made: copy the whole bundle again"
        checked="$checked $file "
    done <SHA256SUMS
}

# verified FILE...: these were among what was checked. A part of SHA256SUMS may have been lost.
verified() {
    for file in "$@"; do
        case $checked in
        *" $file "*) ;;
        *) fail "SHA256SUMS does not list $file: copy the whole bundle again" ;;
        esac
    done
}

# How each tool loads and pushes. The archive of docker keeps the HEALTHCHECK, which OCI does not know; the archive of OCI
# is pushed as it is, so that its digest in the registry is the one it has in the bundle.
load_docker() { docker load --input "$archive.docker.tar"; }
push_docker() { load_docker && docker tag "$image" "$target" && docker push "$target"; }

load_podman() { podman load --input "$archive.docker.tar"; }
push_podman() { load_podman && podman push ${plain_http:+--tls-verify=false} "$image" "docker://$target"; }

load_skopeo() { skopeo copy "docker-archive:$archive.docker.tar" "containers-storage:$image"; }
push_skopeo() {
    skopeo copy ${plain_http:+--dest-tls-verify=false} "oci-archive:$archive.oci.tar" "docker://$target"
}

load_ctr() { in_containerd import "$archive.oci.tar"; }
push_ctr() {
    in_containerd import --no-unpack "$archive.oci.tar" &&
        in_containerd push ${plain_http:+--plain-http} ${user:+--user "$user"} "$target" "$image"
}
in_containerd() { ctr --namespace "${CONTAINERD_NAMESPACE:-k8s.io}" images "$@"; }

tool='' registry='' plain_http='' user=''
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        help
        exit
        ;;
    --plain-http) plain_http=yes ;;
    --with | --user)
        [ $# -gt 1 ] || fail "$1 must be followed by a name, see --help"
        case $1 in
        --with) tool=$2 ;;
        --user) user=$2 ;;
        esac
        shift
        ;;
    -*) fail "there is no ${1%%=*}, see --help" ;;
    *)
        [ -z "$registry" ] || fail "one registry at a time, not $registry and another"
        as_registry "$1"
        ;;
    esac
    shift
done

started=$PWD
bundle=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$bundle"
verify
verified images.txt
read -r image <images.txt
archive=prometheusmirror-${image##*:}
chart=$archive.tgz
verified "$archive.docker.tar" "$archive.oci.tar" "$chart"

case $tool in
'')
    # A node of Kubernetes has ctr, and what skopeo loads there is of no use to it.
    [ -n "$registry" ] && tools="docker podman skopeo ctr" || tools="docker podman ctr skopeo"
    for candidate in $tools; do
        if there "$candidate"; then
            tool=$candidate
            break
        fi
    done
    [ -n "$tool" ] || fail "there is no docker or ctr whose engine answers, no podman and no skopeo: install one of them"
    ;;
docker | podman | skopeo | ctr)
    there "$tool" || fail "$tool is not there, or its engine does not answer: try \`$tool version\`"
    ;;
*) fail "--with must be followed by docker, podman, skopeo or ctr, not $tool" ;;
esac
case $user in
*:*) fail "--user takes a name alone: ctr asks for the password" ;;
esac
[ -z "$user" ] || [ "$tool" = ctr ] || fail "--user is for ctr: with $tool, log in by \`$tool login\`"

if [ -n "$registry" ]; then
    target=$registry/${image#docker.io/}
    echo "$0: pushing $target with $tool" >&2
    if ! "push_$tool"; then
        if [ "$tool$plain_http" = dockeryes ]; then
            echo "$0: docker pushes without TLS only to the insecure-registries of its daemon, see --help" >&2
        elif [ -z "$plain_http" ]; then
            echo "$0: if it gave an HTTP response to an HTTPS client, the registry has no TLS: add --plain-http" >&2
        fi
        fail "$tool could not push $target; it says why above"
    fi
else
    target=$image
    echo "$0: loading $target with $tool" >&2
    "load_$tool" || fail "$tool could not load $target; it says why above"
fi

# To be typed where this was called from.
[ "$started" = "$bundle" ] && chart=./$chart || chart="'$bundle/$chart'"
echo
echo "$target is in its place. This command installs the mirror with it. Replace API_KEY by a key of your choice, and"
echo "monitoring by the namespace that you want:"
echo
echo "helm upgrade --install prometheusmirror $chart --namespace monitoring --create-namespace" \
    "${registry:+--set global.imageRegistry=$registry }--set global.apiKey=API_KEY"
