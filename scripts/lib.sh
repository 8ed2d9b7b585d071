# Sourced by the scripts beside it: brings the machine what a script needs.

# have COMMAND: whether a command is on the machine.
have() { command -v "$1" >/dev/null 2>&1; }

# need COMMAND PACKAGE...: installs the Debian packages unless the command is there already.
need() {
    local command=$1
    shift
    have "$command" && return
    have apt-get || {
        echo "$0: $command is missing, and there is no apt-get to install it with: install $*" >&2
        exit 1
    }
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

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        echo "$0: root is needed to run: $*" >&2
        exit 1
    fi
}

# need_rust: a toolchain and what it needs to link.
need_rust() {
    have cargo || {
        echo "$0: cargo is missing: install Rust 1.88 or newer, see https://rustup.rs" >&2
        exit 1
    }
    need cc gcc libc6-dev
}
