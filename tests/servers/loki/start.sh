#!/usr/bin/env bash
# start.sh PORT [DATA [limit=value ...]]: one Loki in the foreground on 127.0.0.1:PORT, its state in the
# folder DATA (default: a new temporary one), with these lines of limits_config. Ends on SIGTERM.
# Built from the Go modules in go.mod on first use, which takes about ten minutes. `start.sh --build`
# only builds.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/servers/cache.sh
. "$here/../cache.sh"

build() {
  local version
  version=$(cd "$here" && go list -m -f '{{.Version}}' github.com/grafana/loki/v3)
  # A build from modules carries no version of its own; this is what `loki -version` shows.
  CGO_ENABLED=0 go -C "$here" build \
    -ldflags "-s -w -X github.com/grafana/loki/v3/pkg/util/build.Version=$version" \
    -o "$1/loki" github.com/grafana/loki/v3/cmd/loki
}

built=$(cached loki "$here/go.mod" "$here/go.sum")
once "$built" build
[ "${1:-}" != --build ] || exit 0

port=${1:?usage: start.sh PORT [DATA]}
data=${2:-$(mktemp -d "${TMPDIR:-/tmp}/tailwater-loki.XXXXXX")}
shift "$(($# < 2 ? $# : 2))"
limits=$(printf '\n  %s' "${@/=/: }")
cat >"$data/loki.yaml" <<YAML
auth_enabled: false
target: all
server:
  http_listen_address: 127.0.0.1
  http_listen_port: $port
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: 0
  log_level: ${LOKI_LOG_LEVEL:-warn}
common:
  instance_addr: 127.0.0.1
  path_prefix: $data
  replication_factor: 1
  storage:
    filesystem:
      chunks_directory: $data/chunks
      rules_directory: $data/rules
  ring:
    instance_addr: 127.0.0.1
    kvstore:
      store: inmemory
schema_config:
  configs:
    - from: 2020-10-24
      store: tsdb
      object_store: filesystem
      schema: v13
      index: {prefix: index_, period: 24h}
ingester:
  lifecycler:
    min_ready_duration: 0s
    final_sleep: 0s
query_scheduler:
  use_scheduler_ring: false
limits_config:
  # A repeat is known again only within its stream; sharding would put it into another shard's.
  shard_streams:
    enabled: false
  allow_structured_metadata: true
  discover_service_name: []
  discover_log_levels: false$limits
analytics:
  reporting_enabled: false
YAML
exec "$built/loki" -config.file="$data/loki.yaml"
