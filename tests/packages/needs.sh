#!/usr/bin/env bash
# needs.sh PROGRAM VERSION: fails unless the program needs no library but glibc, and nothing of it that is newer than this
# version; prints which it needs.
set -euo pipefail
program=$1 most=$2
# All of glibc; since 2.34 the first of them holds what was in the others.
glibc='libc\.so\.6|libpthread\.so\.0|libdl\.so\.2|libm\.so\.6|librt\.so\.1|ld-linux-[-a-z0-9_]*\.so\.[12]'
libraries=$(ldd "$program" | grep -vE "linux-vdso|^[[:space:]]*(/lib[0-9]*/)?($glibc) " || :)
[ -z "$libraries" ] || {
  echo "$program needs more than glibc: $libraries" >&2
  exit 1
}
needed=$(objdump -T "$program" | grep -o 'GLIBC_2[.0-9]*' | cut -d_ -f2 | sort -Vu | tail -1)
# Packed relocations have a version of their own, which no symbol has: glibc 2.36 was the first with it.
if objdump -p "$program" | grep -q GLIBC_ABI_DT_RELR; then
  needed=$(printf '%s\n' "$needed" 2.36 | sort -V | tail -1)
fi
[ "$(printf '%s\n' "$needed" "$most" | sort -V | tail -1)" = "$most" ] || {
  echo "$program needs glibc $needed, which is newer than $most:" >&2
  objdump -T "$program" | grep -F "GLIBC_$needed)" >&2 || :
  exit 1
}
printf '%s\n' "$needed"
