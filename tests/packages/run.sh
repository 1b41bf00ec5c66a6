#!/usr/bin/env bash
# run.sh [PROGRAM]: makes the .deb and the .rpm of a release binary, and tries them: what is in them, whether systemd takes
# the unit, and the .deb in a fresh Debian, from its installation over an upgrade under a running agent to its end. Without
# PROGRAM, of that which `portable.sh` builds. `boot.sh` tries the service.
# Needs root, and Debian's debootstrap, rpm, systemd and binutils.
set -euo pipefail
for tool in debootstrap rpm systemd-analyze strip; do
  command -v "$tool" >/dev/null || {
    echo "$tool is missing: apt-get install debootstrap rpm systemd binutils" >&2
    exit 1
  }
done
# shellcheck source=tests/packages/make.sh
. "$(dirname "${BASH_SOURCE[0]}")/make.sh"

# Both have the same files, and what is configuration is known to be.
unpacked=$work/unpacked
dpkg-deb -x "$work/0.1.0/tailwater.deb" "$unpacked"
in_deb=$(cd "$unpacked" && find . -type f ! -name copyright | sed 's/^\.//' | sort)
in_rpm=$(rpm -qlp "$work/0.1.0/tailwater.rpm" | grep -v /LICENSE | sort)
[ "$in_deb" = "$in_rpm" ] || fail "the packages differ: $(diff <(echo "$in_deb") <(echo "$in_rpm"))"
for file in /usr/bin/tailwater /usr/lib/systemd/system/tailwater.service /etc/tailwater/{tailwater,parsers}.conf; do
  grep -qx "$file" <<<"$in_deb" || fail "there is no $file in the packages"
done
settings=$(grep ^/etc/ <<<"$in_deb")
[ "$settings" = "$(dpkg-deb -I "$work/0.1.0/tailwater.deb" conffiles | sort)" ] || fail "conffiles of the .deb are not $settings"
[ "$settings" = "$(rpm -qcp "$work/0.1.0/tailwater.rpm" | sort)" ] || fail "configuration of the .rpm is not $settings"
scripts=$(rpm -qp --scripts "$work/0.1.0/tailwater.rpm")
for text in daemon-reload 'disable --now' try-restart; do
  grep -q -e "$text" <<<"$scripts" || fail "the .rpm has no $text in: $scripts"
done

# The unit: without a word from systemd, and closed enough (2.0 of 10).
unit=$work/tailwater.service
sed "s#/usr/bin/tailwater#$work/target/release/tailwater#" "$unpacked/usr/lib/systemd/system/tailwater.service" >"$unit"
said=$(systemd-analyze verify "$unit" 2>&1) && [ -z "$said" ] || fail "systemd of the unit: $said"
exposure=$(systemd-analyze security --offline=true --threshold=20 --no-pager "$unit") || fail "$exposure"
exposure=$(grep -o 'level for .*: [0-9.]*' <<<"$exposure" | grep -o '[0-9.]*$')

# The .deb in a Debian.
fresh=$CACHE/debian-$release
once "$fresh" debian ca-certificates
system=$work/system
cp -a "$fresh" "$system"
# What runs a command there, with a /proc that is gone when it ends.
# shellcheck disable=SC2016
inside=(env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C unshare --mount
  sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$system")
installs() {
  cp "$work/$1/tailwater.deb" "$system/tmp/"
  "${inside[@]}" dpkg -i /tmp/tailwater.deb >"$work/log" 2>&1 || fail "$(cat "$work/log")"
}
installs 0.1.0
"${inside[@]}" tailwater check --strict /etc/tailwater/tailwater.conf >"$work/log" 2>&1 || fail "$(cat "$work/log")"
shipped=$("${inside[@]}" sh -c 'cd /usr/share/doc/tailwater && tailwater -c config/quickstart.conf' 2>"$work/log") ||
  fail "$(cat "$work/log")"
[ "$(grep -c '"cluster_name":"quickstart"' <<<"$shipped")" = 9 ] || fail "the quick start ships: $shipped"

# An agent that goes on over an upgrade, and the next one where it stood.
mkdir -p "$system"/var/lib/tailwater "$system"/var/log/tailwater
configuration >"$system/etc/tailwater/tailwater.conf"
writes() {
  seq -f 'line %g' "$1" "$2" >>"$system/var/log/app.log"
}
arrives() {
  local count
  for _ in $(seq 100); do
    count=$(grep -c '' "$system/var/log/tailwater/app" 2>/dev/null || :)
    [ "${count:-0}" -lt "$1" ] || return 0
    sleep 0.1
  done
  fail "$count of $1 lines arrived; the agent said: $(cat "$work/agent.log")"
}
starts() {
  "${inside[@]}" tailwater -c /etc/tailwater/tailwater.conf >"$work/agent.log" 2>&1 &
  agent=$!
}
stops() {
  kill "$agent"
  wait "$agent" || fail "the agent ended with $?: $(cat "$work/agent.log")"
}
starts
writes 1 1000
arrives 1000
installs 0.1.1
writes 1001 2000
arrives 2000
stops
starts
writes 2001 3000
arrives 3000
stops
doubled=$(sort "$system/var/log/tailwater/app" | uniq -d | wc -l)
[ "$doubled" = 0 ] || fail "$doubled lines came twice over the upgrade"
[ "$("${inside[@]}" dpkg-query -Wf '${Version}' tailwater)" = 0.1.1-1 ] || fail "it is no upgrade"
grep -q /var/log/app.log "$system/etc/tailwater/tailwater.conf" || fail "the upgrade changed the configuration"

# Removed, it leaves its state and configuration; purged, neither.
mkdir -p "$system"/var/{lib,log}/private/tailwater
"${inside[@]}" dpkg -r tailwater >"$work/log" 2>&1 || fail "$(cat "$work/log")"
[ ! -e "$system/usr/bin/tailwater" ] || fail "the program stays"
for file in etc/tailwater/tailwater.conf var/lib/tailwater/positions.db var/log/tailwater/app; do
  [ -e "$system/$file" ] || fail "$file goes with the program"
done
"${inside[@]}" dpkg -P tailwater >"$work/log" 2>&1 || fail "$(cat "$work/log")"
left=$(cd "$system" && find etc var -name '*tailwater*' ! -path '*/dpkg/*' ! -path 'var/log/dpkg*')
[ -z "$left" ] || fail "purged, there is still: $left"
printf 'the packages are as they should be: glibc %s, Debian %s, exposure of the unit %s\n' "$glibc" "$release" "$exposure"
