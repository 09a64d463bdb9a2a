#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Suites (sourced): packages of others than the machine's own release.

# archives RELEASE...: lines for a sources.list by which apt knows these releases as it
# knows the machine's own, from the same archives, updates included; sid has none.
# A suite like trixie-backports stands for itself.
archives() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(COMPONENT) $(CODENAME) $(REPO_URI)' \
		'Created-By: Packages' |
		awk -v releases="$*" '
			$1 == "main" {
				n = split($2, name, "-")
				if (n > 2 || name[2] == "backports")
					next
				if (n == 1 && from[""] == "")
					from[""] = $3
				if (n == 2 && !(name[2] in from))
					from[name[2]] = $3
			}
			END {
				n = split(releases, release, " ")
				for (i = 1; i <= n && from[""] != ""; i++) {
					base = release[i]
					print "deb", from[""], base, "main"
					if (base == "sid" || base ~ /-/)
						continue
					for (part in from)
						if (part != "")
							print "deb", from[part],
							      base "-" part, "main"
				}
			}' | grep . || die "apt's sources name no release of Debian"
}

# architectures ARCH: options by which packages are ARCH's where no other is named
architectures() {
	printf ' -o %s' "APT::Architecture=$1" "APT::Architectures::=$1" \
		"APT::Architectures::=$(dpkg --print-architecture)"
}

# suites RELEASE...: have $apt be options by which apt knows these only, and nothing
# as installed, for the processor $arch, if that is set, as well as for the machine's
# own.  Its lists are below the current directory, in apt.
suites() {
	mkdir -p apt/lists/partial
	archives "$@" > apt/sources.list
	apt="-q -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
	apt="$apt -o Dir::Etc::SourceList=$PWD/apt/sources.list"
	apt="$apt -o Dir::Etc::SourceParts=/dev/null"
	apt="$apt -o Dir::State::Lists=$PWD/apt/lists"
	apt="$apt -o Dir::State::status=/dev/null"
	apt="$apt ${arch:+$(architectures "$arch")}"
	[ "$(id -u)" != 0 ] || apt="$apt -o APT::Sandbox::User=root"
}
