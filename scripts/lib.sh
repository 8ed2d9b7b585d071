# shellcheck shell=bash
# Sourced by the scripts beside it: brings the machine what a script needs, and says what is being built.

# fail SENTENCE: ends with it.
fail() {
    echo "$0: $*" >&2
    exit 1
}

# have COMMAND: whether a command is on the machine.
have() { command -v "$1" >/dev/null 2>&1; }

# need COMMAND PACKAGE...: installs the Debian packages unless the command is there already.
need() {
    local command=$1
    shift
    have "$command" && return
    have apt-get || fail "$command is missing, and there is no apt-get to install it with: install $*"
    echo "$0: installing $*" >&2
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
    # The packages of servers start them, and at every boot; nobody asked for that here.
    local package
    for package in "$@"; do
        if [ -d /run/systemd/system ] && systemctl cat "$package.service" >/dev/null 2>&1; then
            as_root systemctl disable --now --quiet "$package.service"
        fi
    done
}

# put FOLDER PLACE: moves a folder to its place, unless another process was faster.
put() {
    mv --no-target-directory "$1" "$2" 2>/dev/null || [ -d "$2" ] || fail "$2 cannot be written"
}

# fetch WHAT PIP_ARGUMENT...: has pip do something with wheels alone, from PyPI, checked by their hashes.
fetch() {
    local what=$1
    shift
    python3 -m pip --version >/dev/null 2>&1 || need_pip
    echo "$0: fetching $what" >&2
    PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
        python3 -m pip "$@" --quiet --no-deps --require-hashes --only-binary :all: >&2 ||
        fail "pip cannot fetch $what, see above what it says; it needs PyPI, or its index-url set to a mirror of that"
}

need_pip() {
    local python
    python=$(command -v python3)
    [ "$python" = /usr/bin/python3 ] || fail "pip is missing: install it for $python, as by $python -m ensurepip"
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

# need_rust: a toolchain and what it needs to link.
need_rust() {
    have cargo || fail "cargo is missing: install Rust 1.88 or newer, see https://rustup.rs"
    need cc gcc libc6-dev
}

# version: that of the program, as Cargo.toml has it.
version() { sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1; }

# revision: the commit that is built, and whether the files are no longer what it says.
revision() { git describe --always --dirty --abbrev=40 --match '' 2>/dev/null || echo unknown; }

# source_date: when the commit was made, in seconds since 1970, so that what is built of it twice is dated the same.
source_date() { echo "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"; }

# packed FOLDER TAR_FLAG...: its contents as a tar whose bytes follow from theirs and from SOURCE_DATE_EPOCH.
packed() {
    tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        --mtime="@$SOURCE_DATE_EPOCH" "${@:2}" --directory "$1" .
}

# pack_chart FOLDER FILE: packs a chart as helm does, without what helm ignores.
pack_chart() {
    packed "$1" --exclude-from="$1/.helmignore" --transform='s,^\.,prometheusmirror,' | gzip -9n >"$2"
}
