# shellcheck shell=bash
# Functions for the other scripts: they install what a script needs, and describe what is built.

# fail SENTENCE: prints the sentence, and exits with 1.
fail() {
    echo "$0: $*" >&2
    exit 1
}

# have COMMAND: whether the machine has a command.
have() { command -v "$1" >/dev/null 2>&1; }

# need COMMAND PACKAGE...: installs the Debian packages, unless the machine has the command.
need() {
    local command=$1
    shift
    have "$command" && return
    have apt-get || fail "$command is missing, and there is no apt-get to install it: install $*"
    echo "$0: installing $*" >&2
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
    # Packages of servers start them, now and at every boot. The scripts do not want that.
    local package
    for package in "$@"; do
        if [ -d /run/systemd/system ] && systemctl cat "$package.service" >/dev/null 2>&1; then
            as_root systemctl disable --now --quiet "$package.service"
        fi
    done
}

# put FOLDER PLACE: moves a folder to its place, unless another process has already done so.
put() {
    mv --no-target-directory "$1" "$2" 2>/dev/null || [ -d "$2" ] || fail "$2 cannot be written"
}

# fetch WHAT PIP_ARGUMENT...: runs pip, for wheels from PyPI only, with their hashes checked.
fetch() {
    local what=$1
    shift
    python3 -m pip --version >/dev/null 2>&1 || need_pip
    echo "$0: fetching $what" >&2
    PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
        python3 -m pip "$@" --quiet --no-deps --require-hashes --only-binary :all: >&2 ||
        fail "pip cannot download $what; its messages are above. It needs PyPI, or an index-url that is a mirror of PyPI"
}

# fetch_package NAME VERSION PACKAGE HASH...: puts a PyPI package into the folder NAME-VERSION of $cache, by way of $work, unless it is
# there. The hashes are those of its wheels.
fetch_package() {
    local name=$1 version=$2 package=$3 place=${cache:?}/$1-$2
    [ -d "$place" ] && return
    printf '%s==%s' "$package" "$version" >"${work:?}/wanted"
    printf ' --hash=sha256:%s' "${@:4}" >>"${work:?}/wanted"
    fetch "$name $version" install --requirement "${work:?}/wanted" --target "$work/$name"
    put "$work/$name" "$place"
}

need_pip() {
    local python
    python=$(command -v python3)
    [ "$python" = /usr/bin/python3 ] || fail "pip is missing: install it for $python, for example with $python -m ensurepip"
    need pip3 python3-pip
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        fail "root is needed to run: $*"
    fi
}

# need_rust: checks for a Rust toolchain, and installs what it needs to link.
need_rust() {
    have cargo || fail "cargo is missing: install Rust 1.88 or newer, see https://rustup.rs"
    need cc gcc libc6-dev
}

# version: prints the version of the program, from Cargo.toml.
version() { sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1; }

# revision: prints the commit that is built, with -dirty if files have changed.
revision() { git describe --always --dirty --abbrev=40 --match '' 2>/dev/null || echo unknown; }

# source_date: prints the time of the commit, in seconds since 1970, so that two builds of it have the same date.
source_date() { echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"; }

# packed FOLDER TAR_FLAG...: prints the folder as a tar that depends only on its contents and on SOURCE_DATE_EPOCH.
packed() {
    tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        --mtime="@$SOURCE_DATE_EPOCH" "${@:2}" --directory "$1" .
}

# pack_chart FOLDER FILE: packs a chart like helm, without the files that helm ignores.
pack_chart() {
    packed "$1" --exclude-from="$1/.helmignore" --transform='s,^\.,prometheusmirror,' | gzip -9n >"$2"
}
