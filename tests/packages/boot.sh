#!/usr/bin/env bash
# boot.sh [PROGRAM]: boots a Debian in a container of systemd's, and tries the service of the .deb there: start, what it may
# read, reload, a wrong configuration, the watchdog, upgrade, end. Takes half a minute once the Debian is there.
# Needs root, cgroups that a systemd can have, and Debian's debootstrap, systemd-container and binutils.
set -euo pipefail
for tool in debootstrap systemd-nspawn strip; do
  command -v "$tool" >/dev/null || {
    echo "$tool is missing: apt-get install debootstrap systemd-container binutils" >&2
    exit 1
  }
done
# shellcheck source=tests/packages/make.sh
. "$(dirname "${BASH_SOURCE[0]}")/make.sh"

fresh=$CACHE/debian-$release-systemd
once "$fresh" debian ca-certificates,dbus,procps,systemd,systemd-sysv
system=$work/system
cp -a "$fresh" "$system"
cp "$work/0.1.0/tailwater.deb" "$system/opt/old.deb"
cp "$work/0.1.1/tailwater.deb" "$system/opt/new.deb"
systemd-nspawn -q -D "$system" --boot --register=no --keep-unit --console=pipe --kill-signal=SIGKILL >"$work/boot.log" 2>&1 &
container=$!
trap 'kill "$container" 2>/dev/null; wait "$container" || :; rm -rf "$work"' EXIT

# within COMMAND...: waits up to 20 s until it succeeds.
within() {
  for _ in $(seq 100); do
    "$@" >"$work/log" 2>&1 && return
    sleep 0.2
  done
  fail "this does not come true: $*
$(cat "$work/log")
$("${inside[@]}" journalctl --no-pager -n 30 -u tailwater || cat "$work/boot.log")"
}
booted() {
  init=$(pgrep -P "$container" -f systemd | head -1)
  inside=(env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C nsenter -t "$init" -m -u -i -p -n --)
  "${inside[@]}" systemctl show-environment
}
inside=(false)
within booted
does() {
  "${inside[@]}" "$@" >"$work/log" 2>&1 || {
    "${inside[@]}" journalctl --no-pager -n 30 -u tailwater >&2
    fail "this fails: $* $(cat "$work/log")"
  }
}
is() {
  [ "$("${inside[@]}" systemctl show -p "$1" --value tailwater)" = "$2" ]
}
arrived() {
  [ "$(grep -c 'line' "$system/var/log/tailwater/app")" = "$1" ]
}

does dpkg -i /opt/old.deb
is ActiveState inactive && is UnitFileState disabled || fail "the installation starts what has no store yet"
configured=$system/etc/tailwater/tailwater.conf
{
  configuration
  cat <<'CONF'
[INPUT]
    Name            systemd
    Tag             journal
    DB              /var/lib/tailwater/journal.db
[OUTPUT]
    Name    file
    Match   journal
    Path    /var/log/tailwater
CONF
} >"$configured"
# As Debian's logs are.
install -m 640 -o root -g adm /dev/null "$system/var/log/app.log"
mkdir -p "$system/etc/systemd/system/tailwater.service.d"
printf '[Service]\nWatchdogSec=2\nRestartSec=0\n' >"$system/etc/systemd/system/tailwater.service.d/quick.conf"
does systemctl daemon-reload
does systemctl enable --now tailwater
is ActiveState active && is StatusText running || fail "it was started and does not run"
user=$(awk '/^Uid/ {print $2}' "/proc/$(pgrep -f '^/usr/bin/tailwater --enable' | tail -1)/status")
[ "$user" -ge 61184 ] || fail "it runs as user $user"
echo 'line 1' >>"$system/var/log/app.log"
within arrived 1
does logger --id=7 told
within grep '"MESSAGE":"told"' "$system/var/log/tailwater/journal"

does systemctl reload tailwater
within is StatusText running
echo 'line 2' >>"$system/var/log/app.log"
within arrived 2
sed -i 's/Read_from_Head/Read_from_Haed/' "$configured"
! "${inside[@]}" systemctl reload tailwater 2>"$work/log" || fail "a wrong configuration is reloaded"
does systemctl kill -s HUP tailwater
within "${inside[@]}" systemctl status --no-pager tailwater
kept() { "${inside[@]}" systemctl show -p StatusText --value tailwater | grep 'the one before goes on'; }
within kept
sed -i 's/Read_from_Haed/Read_from_Head/' "$configured"
does systemctl reload tailwater
within is StatusText running

is NRestarts 0 || fail "it was started anew for no reason"
does systemctl kill -s STOP tailwater
within is NRestarts 1
within is StatusText running
echo 'line 3' >>"$system/var/log/app.log"
within arrived 3

before=$("${inside[@]}" systemctl show -p MainPID --value tailwater)
does dpkg -i --force-confold /opt/new.deb
! is MainPID "$before" || fail "the upgrade leaves the old program running"
echo 'line 4' >>"$system/var/log/app.log"
within arrived 4
does systemctl stop tailwater
is Result success || fail "it did not end well"
does dpkg -P tailwater
left=$(cd "$system" && find etc var -name '*tailwater*' ! -path '*/dpkg/*' ! -path '*/tailwater.service.d*' ! -path 'var/log/dpkg*')
[ -z "$left" ] || fail "purged, there is still: $left"
printf 'the service does as it should on Debian %s, as user %s\n' "$release" "$user"
