# Sourced by the scripts beside it, with the release binary as its first argument: makes packages of it in $work, and says
# which Debian they are tried in. Without an argument, of what `portable.sh` builds; for any other, Debian's release is as
# new as its glibc.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=tests/servers/cache.sh
. "$here/../servers/cache.sh"
fail() {
  echo "$*" >&2
  exit 1
}
[ "$(id -u)" = 0 ] || fail "run it as root"
portable=2.31
program=${1:-}
[ -n "$program" ] || program=$("$here/portable.sh")
[ $# -gt 0 ] || "$here/needs.sh" "$program" "$portable" >/dev/null
glibc=$("$here/needs.sh" "$program" 2.36)
release=bookworm variant=()
if [ "$(printf '%s\n' "$glibc" "$portable" | sort -V | tail -1)" = "$portable" ]; then
  release=bullseye variant=(--variant portable)
fi
PATH=$("$here/tools.sh"):$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/tailwater-packages.XXXXXX")
trap 'rm -rf "$work"' EXIT

# debian PACKAGES FOLDER: the least of it, and these.
debian() {
  debootstrap --variant=minbase --include="$1" "$release" "$2" http://deb.debian.org/debian >"$work/log" || fail "$(tail -20 "$work/log")"
  # Not root's alone, as a folder of `mktemp` is.
  chmod 755 "$2"
  rm -rf "$2"/var/cache/apt/archives/*.deb "$2"/var/lib/apt/lists/* "$2"/usr/share/{doc,locale,man}/*
}

# A configuration by which what is written to /var/log/app.log is written to /var/log/tailwater/app.
configuration() {
  cat <<'CONF'
[SERVICE]
    Flush  0.2
[INPUT]
    Name            tail
    Tag             app
    Path            /var/log/app.log
    Read_from_Head  On
    DB              /var/lib/tailwater/positions.db
[OUTPUT]
    Name    file
    Match   app
    Path    /var/log/tailwater
    Format  plain
CONF
}

# packages VERSION: both, in $work/VERSION.
mkdir -p "$work/target/release"
strip -o "$work/target/release/tailwater" "$program"
packages() {
  mkdir "$work/$1"
  (
    cd "$root"
    export CARGO_TARGET_DIR=$work/target
    cargo deb --quiet --fast --no-build --no-strip "${variant[@]}" --deb-version "$1-1" --output "$work/$1/tailwater.deb"
    cargo generate-rpm --payload-compress gzip --set-metadata "version = \"$1\"" --output "$work/$1/tailwater.rpm"
  ) >"$work/log" 2>&1 || fail "$(cat "$work/log")"
}
packages 0.1.0
packages 0.1.1
