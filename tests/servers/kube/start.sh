#!/usr/bin/env bash
# start.sh PORT [DATA [flag=value ...]]: one kube-apiserver in the foreground on https://127.0.0.1:PORT with
# its own etcd, their state in the folder DATA (default: a new temporary one), with these further flags of
# the server (without their two dashes). Ends on SIGTERM. Built from the Go modules in go.mod on first use,
# which takes about ten minutes. `start.sh --build` only builds.
#
# RBAC decides, and nobody is anonymous. In DATA lie, for an administrator, `admin.token` and
# `admin.kubeconfig`, and for whoever connects `ca.crt`. There are no nodes and no controllers: pods stay
# as they are made, their status is what one writes there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/servers/cache.sh
. "$here/../cache.sh"

build() {
  local version minor stamp=k8s.io/component-base/version
  version=$(cd "$here" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  minor=${version#v*.}
  # A build from modules carries no version of its own; without one the server takes itself for 0.0.
  CGO_ENABLED=0 go -C "$here" build -trimpath -ldflags '-s -w' -o "$1/etcd" go.etcd.io/etcd/server/v3
  CGO_ENABLED=0 go -C "$here" build -trimpath \
    -ldflags "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor%%.*}" \
    -o "$1/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
}

built=$(cached kube "$here/go.mod" "$here/go.sum")
once "$built" build
[ "${1:-}" != --build ] || exit 0

port=${1:?usage: start.sh PORT [DATA [flag=value ...]]}
data=${2:-$(mktemp -d "${TMPDIR:-/tmp}/tailwater-kube.XXXXXX")}
shift "$(($# < 2 ? $# : 2))"
url=https://127.0.0.1:$port
umask 077
[ -f "$data/sa.key" ] || openssl genrsa -out "$data/sa.key" 2048 2>/dev/null
[ -f "$data/admin.token" ] || openssl rand -hex 16 >"$data/admin.token"
printf '%s,admin,admin-uid,"system:masters"\n' "$(cat "$data/admin.token")" >"$data/tokens.csv"
cat >"$data/admin.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "$url", certificate-authority: "$data/ca.crt"}}]
users: [{name: admin, user: {tokenFile: "$data/admin.token"}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
YAML
# The server makes its certificate, and one to trust it by, at its first start.
ln -sf certs/apiserver.crt "$data/ca.crt"

# etcd listens on a socket in the folder, named as its URL: no second free port is needed. It ends behind the
# server, however that ends, and not before it: the server's orderly end needs it.
cd "$data"
etcd=unix://localhost:0
setpriv --pdeathsig TERM "$built/etcd" --data-dir etcd --log-level error --unsafe-no-fsync \
  --listen-client-urls "$etcd" --advertise-client-urls "$etcd" --listen-peer-urls http://127.0.0.1:0 &
exec "$built/kube-apiserver" --etcd-servers "$etcd" \
  --bind-address 127.0.0.1 --secure-port "$port" --cert-dir certs --endpoint-reconciler-type none \
  --token-auth-file tokens.csv --authorization-mode RBAC --anonymous-auth=false \
  --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.0.0.0/24 \
  --service-account-signing-key-file sa.key --service-account-key-file sa.key \
  --disable-admission-plugins ServiceAccount --shutdown-watch-termination-grace-period 1s "${@/#/--}"
