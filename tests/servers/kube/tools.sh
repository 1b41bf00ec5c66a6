#!/usr/bin/env bash
# tools.sh: prints the folder with `helm` and `kustomize`, what people put manifests into a cluster with.
# Built from their Go modules on first use, which takes a minute or two.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/servers/cache.sh
. "$here/../cache.sh"

build() {
  CGO_ENABLED=0 GOBIN=$1 go install -ldflags '-s -w' helm.sh/helm/v3/cmd/helm@v3.18.4
  CGO_ENABLED=0 GOBIN=$1 go install -ldflags '-s -w' sigs.k8s.io/kustomize/kustomize/v5@v5.6.0
}

# The versions stand here, so this file is what they are made from.
tools=$(cached kube-tools "${BASH_SOURCE[0]}")
once "$tools" build
printf '%s\n' "$tools"
