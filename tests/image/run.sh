#!/usr/bin/env bash
# Goes the steps of the Dockerfile without an engine, as buildah does in a chroot, and runs the image there.
# Needs root, and Debian's buildah, debootstrap, binutils and libcap2-bin. Its two base images are made here from
# Debian's packages and the Rust of this machine, under the names of those that the Dockerfile begins with.
# The first time takes about ten minutes; then it compiles what has changed, and copies files for a minute or two.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=tests/servers/cache.sh
. "$here/../servers/cache.sh"
work=$CACHE/image
image=tailwater:test
fail() {
  echo "$*" >&2
  exit 1
}
[ "$(id -u)" = 0 ] || fail "run it as root"
for tool in buildah debootstrap readelf getcap setpriv; do
  command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install buildah debootstrap binutils libcap2-bin util-linux"
done
builder() {
  buildah --root "$work/storage-$key" --runroot "$work/run-$key" --storage-driver vfs "$@"
}

# debian FOLDER: the least of Debian, with this machine's certificate authorities.
debian() {
  debootstrap --variant=minbase --include=ca-certificates trixie "$1" http://deb.debian.org/debian
  cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
}

# rust FOLDER: what `rust:1.95-slim-trixie` has beyond that.
rust() {
  cp -a "$debian/." "$1"
  local sysroot
  sysroot=$(rustc --print sysroot)
  mkdir -p "$1/usr/local/rust/lib/rustlib"
  cp -a "$sysroot/bin" "$1/usr/local/rust/"
  cp -a "$sysroot"/lib/*.so* "$1/usr/local/rust/lib/"
  cp -a "$sysroot/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')" "$1/usr/local/rust/lib/rustlib/"
}

# distroless FOLDER: what `gcr.io/distroless/cc-debian13` has.
distroless() {
  local package
  chroot "$debian" sh -c 'cd /tmp && rm -f *.deb && apt-get download -q base-files libc6 libgcc-s1 netbase tzdata'
  mkdir -p "$1"/usr/{bin,sbin,lib,lib64} "$1/etc/ssl/certs"
  ln -s usr/bin usr/sbin usr/lib usr/lib64 "$1"
  for package in "$debian"/tmp/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -xC "$1" --keep-directory-symlink
  done
  cp "$debian/etc/ssl/certs/ca-certificates.crt" "$1/etc/ssl/certs/"
  printf '%s:/sbin/nologin\n' 'root:x:0:0:root:/root' 'nonroot:x:65532:65532:nonroot:/home/nonroot' >"$1/etc/passwd"
}

# base NAME FOLDER [SETTING...]: an image of this name with these files, unless there is one.
base() {
  local name=$1 folder=$2 container
  shift 2
  builder inspect --type image "$name" >/dev/null 2>&1 && return
  container=$(builder from scratch)
  builder copy -q "$container" "$folder" / >/dev/null
  [ $# -eq 0 ] || builder config "$@" "$container"
  builder commit -q --rm "$container" "$name" >/dev/null
}

mkdir -p "$work/target" "$work/registry"
# Whatever the base images are made from.
key=$({ rustc -vV && declare -f debian rust distroless base; } | sha256sum | cut -c1-16)
debian=$work/debian-$key rust=$work/rust-$key distroless=$work/distroless-$key
once "$debian" debian
once "$rust" rust
once "$distroless" distroless
base docker.io/library/rust:1.95-slim-trixie "$rust" \
  --env CARGO_HOME=/usr/local/cargo --env PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
base gcr.io/distroless/cc-debian13 "$distroless"

# What was downloaded and compiled is kept beside the image, so that the next run is warm.
builder bud -q --isolation chroot --pull-never -t "$image" -f "$root/Dockerfile" \
  -v "$work/registry:/usr/local/cargo/registry" -v "$work/target:/src/target" "$root" >/dev/null

container=$(builder from --pull-never "$image")
trap 'builder rm "$container" >/dev/null' EXIT
files=$(builder mount "$container")

# setting NAME: of the image.
setting() {
  builder inspect --type image --format "{{ .OCIv1.Config.$1 }}" "$image"
}
[ "$(setting User)" = 65532:65532 ] || fail "the image's user is $(setting User)"
[ "$(setting Entrypoint) $(setting Cmd)" = "[/fluent-bit/bin/fluent-bit] [-c /fluent-bit/etc/fluent-bit.conf]" ] ||
  fail "the image runs $(setting Entrypoint) $(setting Cmd)"

program=$files/usr/bin/tailwater
bytes=$(stat -c %s "$program")
[ "$bytes" -le 15000000 ] || fail "the program has $bytes bytes"
permitted=$(getcap "$program")
[ "${permitted#* }" = cap_dac_override,cap_dac_read_search=p ] || fail "the program is permitted: $permitted"
needed=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | sort | paste -sd' ')
[ "$needed" = libc.so.6 ] || fail "the program needs $needed"
glibc=$(readelf -V "$program" | grep -o 'GLIBC_2[0-9.]*' | sort -Vu | tail -1)
missing=$(chroot "$files" /lib64/ld-linux-x86-64.so.2 --list "/usr/lib/$(uname -m)-linux-gnu/libsystemd.so.0" | grep 'not found' || :)
[ -z "$missing" ] || fail "the journal's library lacks $missing"

# shows TEXT ARGUMENT...: runs the image's program with what a container may do that says nothing of users and
# capabilities, and waits until it has printed the text.
shows() {
  local text=$1 out
  shift
  out=$(timeout 10 setpriv --bounding-set=-all,+dac_override,+setgid,+setuid,+sys_chroot \
    chroot --userspec=65532:65532 "$files" /fluent-bit/bin/fluent-bit "$@" 2>&1 | sed "/$text/q") || :
  case $out in *"$text"*) ;; *) fail "no '$text' in: $out" ;; esac
}
shows "mount a configuration" -c /fluent-bit/etc/fluent-bit.conf

# The reference DaemonSet: the configuration over the image's own, a log of root's, a database beside it.
mkdir -p "$files/var/log/containers"
(umask 027 && echo '2026-01-01T00:00:00.5Z stdout F {"message":"hello"}' >"$files/var/log/containers/web_shop_web-0.log")
cat >"$files/fluent-bit/etc/fluent-bit.conf" <<'CONF'
[SERVICE]
    Flush         1
    Parsers_File  parsers.conf
[INPUT]
    Name            tail
    Path            /var/log/containers/*.log
    Parser          cri
    Tag             kube.*
    DB              /var/log/flb-kube.db
    Read_from_Head  On
[OUTPUT]
    Name   stdout
    Match  kube.*
CONF
shows hello -c /fluent-bit/etc/fluent-bit.conf
# Fluent Bit's chart.
rm "$files/var/log/flb-kube.db"
shows hello --workdir=/fluent-bit/etc --config=/fluent-bit/etc/fluent-bit.conf
printf 'the image is as it should be: the program has %s bytes and needs %s\n' "$bytes" "$glibc"
