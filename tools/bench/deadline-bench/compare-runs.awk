# SPDX-License-Identifier: MIT
#
# After read-records.awk, with two runs' records: are the medians of these costs the same?
# Within half a percent, as a wake-up ends in one bucket of the histogram or the next.
# Not Go's, which has threads of its own at work.  Lateness hangs on the phase in which
# the machine is, as the clock of a real one.

!/^{/ || peer == "go" || !index(costs, " " scenario " ") { next }
FNR == NR { first[scenario " " peer " " n] = p50; next }
{
	before = first[scenario " " peer " " n]
	if (before < p50 * 0.995 || before > p50 * 1.005) {
		printf "not the same: %s %s %u: %s, then %s\n", scenario, peer,
			n, before, p50 > "/dev/stderr"
		differ = 1
	}
	seen++
}
END { exit differ || !seen }
