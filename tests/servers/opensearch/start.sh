#!/usr/bin/env bash
# start.sh PORT [DATA [setting=value ...]]: one OpenSearch node in the foreground on 127.0.0.1:PORT,
# its state in the folder DATA (default: a new temporary one). Ends on SIGTERM. Fetched from Maven
# Central on first use; needs a JDK 21 or newer. `start.sh --build` only fetches.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/servers/cache.sh
. "$here/../cache.sh"

fetch() {
  mvn -q -B -f "$here/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$1"
  (cd "$1" && sha256sum --quiet -c "$here/lib.sha256")
}

# The newest JDK that is there; the one on the PATH may be too old.
java_home() {
  local home major
  for home in "${OPENSEARCH_JAVA_HOME:-}" "${JAVA_HOME:-}" /usr/lib/jvm/*; do
    [ -x "$home/bin/javac" ] || continue
    major=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release")
    if [ "${major:-0}" -ge 21 ]; then
      printf '%s\n' "$home"
      return
    fi
  done
  echo "start.sh: no JDK 21 or newer in /usr/lib/jvm; install one or name it in OPENSEARCH_JAVA_HOME" >&2
  return 1
}

lib=$(cached opensearch "$here/pom.xml" "$here/lib.sha256")
once "$lib" fetch
[ "${1:-}" != --build ] || exit 0

port=${1:?usage: start.sh PORT [DATA [setting=value ...]]}
data=${2:-$(mktemp -d "${TMPDIR:-/tmp}/tailwater-opensearch.XXXXXX")}
shift "$(($# < 2 ? $# : 2))"
java=$(java_home)/bin/java
mkdir -p "$data/tmp"
unset JAVA_TOOL_OPTIONS
exec "$java" -Xms512m -Xmx512m -XX:TieredStopAtLevel=1 --enable-native-access=ALL-UNNAMED \
  -Djava.io.tmpdir="$data/tmp" -Dlog4j2.configurationFile="$here/log4j2.properties" \
  -cp "$lib/*" "$here/Main.java" "$port" "$data" "$@"
