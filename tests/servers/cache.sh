# Sourced by the scripts beside it: where built servers lie, and how one gets there whole or not at all.
#
# A built server lies in $CACHE/NAME-KEY. KEY is a hash of everything it is made from, so a changed
# version gets a folder of its own and an old checkout still finds the old one.
CACHE=${TAILWATER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tailwater}/servers

# cached NAME FILE...: prints the folder of this server, whether it is there yet or not.
cached() {
  local name=$1 key
  shift
  key=$(cat -- "$@" | sha256sum | cut -c1-16)
  printf '%s/%s-%s\n' "$CACHE" "$name" "$key"
}

# once FOLDER COMMAND...: unless FOLDER is there, runs COMMAND with an empty folder as its last
# argument and renames that to FOLDER when it is done. A build that was cut off leaves nothing
# behind that could be taken for a whole one; two at a time wait for each other.
once() {
  local folder=$1 fresh
  shift
  [ -d "$folder" ] && return
  mkdir -p "$CACHE"
  (
    flock 9
    [ -d "$folder" ] && exit
    fresh=$(mktemp -d "$CACHE/building.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    "$@" "$fresh"
    mv -T "$fresh" "$folder"
  ) 9>"$folder.lock" >&2
}
