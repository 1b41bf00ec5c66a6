#!/usr/bin/env bash
# portable.sh: builds the program for every Linux with glibc 2.31 or newer, and prints where it lies.
# The first time takes about ten minutes and 1 GB.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$("$here/tools.sh" portable)
# shellcheck source=tests/servers/cache.sh
. "$here/../servers/cache.sh"
cd "$here/../.."
export CARGO_TARGET_DIR=$CACHE/portable
PATH=$tools:$PATH cargo zigbuild --release --locked --package tailwater --target x86_64-unknown-linux-gnu.2.31 >&2
printf '%s\n' "$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/tailwater"
