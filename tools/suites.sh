#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Suites (sourced): packages of others than the machine's own release.

# suites SUITE...: have $apt be options by which apt knows these only, from the
# archive that the machine uses.  Its lists are below the current directory, in apt.
suites() {
	mkdir -p apt/lists/partial
	# shellcheck disable=SC2016
	from=$(apt-get indextargets --format \
		'$(COMPONENT) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 == "main" && $2 !~ /-/ { print $3; exit }')
	[ "$from" ] || die "no archive in apt's sources"
	for suite; do
		echo "deb $from $suite main"
	done > apt/sources.list
	apt="-q -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
	apt="$apt -o Dir::Etc::SourceList=$PWD/apt/sources.list"
	apt="$apt -o Dir::Etc::SourceParts=/dev/null"
	apt="$apt -o Dir::State::Lists=$PWD/apt/lists"
	[ "$(id -u)" != 0 ] || apt="$apt -o APT::Sandbox::User=root"
}
