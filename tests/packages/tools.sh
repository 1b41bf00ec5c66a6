#!/usr/bin/env bash
# tools.sh: prints the folder with `cargo-deb` and `cargo-generate-rpm`, which make the packages.
# tools.sh portable: that with `cargo-zigbuild` and zig, which link against an older glibc than this machine's.
# Built from their crates on first use, which takes a few minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/servers/cache.sh
. "$here/../servers/cache.sh"

build() {
  cargo install --quiet --locked --root "$1" --target-dir "$1/target" cargo-deb@3.8.0 cargo-generate-rpm@0.21.1
  rm -r "$1/target"
}

zig() {
  cargo install --quiet --locked --root "$1" --target-dir "$1/target" cargo-zigbuild@0.24.1
  rm -r "$1/target"
  python3 -m pip install --quiet --no-deps --target "$1/python" ziglang==0.17.1
  ln -s ../python/ziglang/zig "$1/bin/zig"
}

# The versions stand here, so this file is what they are made from.
name=package-tools what=build
[ "${1:-}" != portable ] || name=zig-tools what=zig
tools=$(cached "$name" "${BASH_SOURCE[0]}")
once "$tools" "$what"
printf '%s\n' "$tools/bin"
