#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The cache (sourced): what is fetched or unpacked once, outside the clone.

: "${DEADLINE_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/deadline}"
mkdir -p "$DEADLINE_CACHE" && DEADLINE_CACHE=$(cd "$DEADLINE_CACHE" && pwd) ||
	exit 1

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# Hold a lock of this name until the script ends.  Children that outlive the
# script must be started with 9>&-.
cache_lock() {
	exec 9>"$DEADLINE_CACHE/$1.lock" && flock 9
}

# A directory in the cache to fill, then mv: $tmp.
cache_tmp() {
	tmp=$(mktemp -d "$DEADLINE_CACHE/tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
	chmod 755 "$tmp"
}
