# SPDX-License-Identifier: MIT
#
# After record.awk, with two runs' records: are their medians the same?

/^{/ && FNR == NR { first[scenario " " peer " " n] = p50; next }
/^{/ {
	before = first[scenario " " peer " " n]
	if (before != p50) {
		printf "not the same: %s %s %u: %s, then %s\n", scenario, peer,
			n, before, p50 > "/dev/stderr"
		differ = 1
	}
	seen++
}
END { exit differ || !seen }
