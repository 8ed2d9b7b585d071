#!/bin/sh
# load.sh: loads or pushes the image of the bundle in its folder, so that the nodes of a cluster find it. It needs only a POSIX
# shell, sha256sum or shasum, and one of docker, podman, skopeo and ctr.
set -eu

help() {
    cat <<'HELP'
sh load.sh                loads the image into the container engine of this machine
sh load.sh REGISTRY       pushes the image to a registry, such as host:port or host:port/path

Both first check the whole bundle against SHA256SUMS, and stop at the first failure. At the end, they print the helm command
that installs the mirror.

  --with TOOL    docker, podman, skopeo or ctr. Default: the first that is installed; docker and ctr only if their engine
                 answers. skopeo has no engine: it loads into the storage of podman and CRI-O. ctr loads for Kubernetes,
                 into the namespace k8s.io or CONTAINERD_NAMESPACE.
  --plain-http   the registry has no TLS. docker has no flag for this: list the registry under "insecure-registries" in
                 /etc/docker/daemon.json.
  --user NAME    only with ctr: the user that pushes. ctr asks for the password.
  --help         this text

Before you push, log in with `docker login`, `podman login` or `skopeo login`. podman and skopeo can read another login file
from REGISTRY_AUTH_FILE. If your own CA has signed the certificate of the registry, docker, podman and skopeo read
/etc/docker/certs.d/HOST:PORT/ca.crt; ctr trusts the CAs of the machine.
HELP
}

fail() {
    echo "$0: $*" >&2
    exit 1
}

# there TOOL: whether the machine has the tool. docker and ctr also need an engine that answers.
there() {
    command -v "$1" >/dev/null 2>&1 || return 1
    case $1 in
    docker | ctr) "$1" version >/dev/null 2>&1 ;;
    esac
}

# as_registry TEXT: sets the registry, or fails. Errors do not repeat a password.
as_registry() {
    case $1 in
    *@*) fail "give the registry as host:port/path, without a user: log in with the tool first, see --help" ;;
    http://*) fail "give the registry as host:port/path: write ${1#http://} --plain-http" ;;
    *://*) fail "give the registry as host:port/path: write ${1#*://}" ;;
    '' | /* | *[!A-Za-z0-9._:/-]*) fail "give the registry as host:port/path, not as '$1'" ;;
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

# verify: checks that the bundle has not changed. It compares each line itself, because `sha256sum -c` ignores lines that it cannot
# read.
verify() {
    command -v sha256sum >/dev/null 2>&1 || command -v shasum >/dev/null 2>&1 ||
        fail "the machine has neither sha256sum nor shasum to check the bundle: install coreutils or perl"
    [ -f SHA256SUMS ] || fail "SHA256SUMS is missing: copy the whole bundle again"
    checked=
    while read -r sum file || [ -n "$sum" ]; do
        [ -f "$file" ] || fail "$file is missing: copy the whole bundle again"
        [ "$(sha256 "$file")" = "$sum" ] || fail "$file has changed since the bundle was made: copy the whole bundle again"
        checked="$checked $file "
    done <SHA256SUMS
}

# verified FILE...: checks that SHA256SUMS lists these files. A part of it may have been lost.
verified() {
    for file in "$@"; do
        case $checked in
        *" $file "*) ;;
        *) fail "SHA256SUMS does not list $file: copy the whole bundle again" ;;
        esac
    done
}

# How each tool loads and pushes. The docker archive contains the HEALTHCHECK, which OCI does not support. The OCI archive is pushed
# unchanged, so that the image has the same digest in the registry as in the bundle.
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
        [ -z "$registry" ] || fail "only one registry can be given, not $registry and another"
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
    # To load on a node of Kubernetes, prefer ctr: Kubernetes does not use the storage of skopeo there.
    [ -n "$registry" ] && tools="docker podman skopeo ctr" || tools="docker podman ctr skopeo"
    for candidate in $tools; do
        if there "$candidate"; then
            tool=$candidate
            break
        fi
    done
    [ -n "$tool" ] || fail "this machine has no docker or ctr whose engine answers, no podman and no skopeo: install one of them"
    ;;
docker | podman | skopeo | ctr)
    there "$tool" || fail "$tool is not installed, or its engine does not answer: try \`$tool version\`"
    ;;
*) fail "--with must be followed by docker, podman, skopeo or ctr, not $tool" ;;
esac
case $user in
*:*) fail "--user must be followed by the name only: ctr asks for the password" ;;
esac
[ -z "$user" ] || [ "$tool" = ctr ] || fail "--user is for ctr: with $tool, log in by \`$tool login\`"

if [ -n "$registry" ]; then
    target=$registry/${image#docker.io/}
    echo "$0: pushing $target with $tool" >&2
    if ! "push_$tool"; then
        if [ "$tool$plain_http" = dockeryes ]; then
            echo "$0: docker pushes without TLS only to the insecure-registries of its daemon, see --help" >&2
        elif [ -z "$plain_http" ]; then
            echo "$0: if the error above says that the registry gave an HTTP response, it has no TLS: add --plain-http" >&2
        fi
        fail "$tool could not push $target; its error is above"
    fi
else
    target=$image
    echo "$0: loading $target with $tool" >&2
    "load_$tool" || fail "$tool could not load $target; its error is above"
fi

# The path of the chart, seen from the folder in which this was called.
[ "$started" = "$bundle" ] && chart=./$chart || chart="'$bundle/$chart'"
echo
echo "$target is ready. The following command installs the mirror. Replace choose-a-key with a key of your choice,"
echo "and monitoring by your namespace:"
echo
echo "helm upgrade --install prometheusmirror $chart --namespace monitoring --create-namespace" \
    "${registry:+--set global.imageRegistry=$registry }--set global.apiKey=choose-a-key"
