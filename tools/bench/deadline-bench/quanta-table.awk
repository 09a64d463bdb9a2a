# SPDX-License-Identifier: MIT
#
# After read-records.awk, with records of quantum.c: what so many threads lose to their
# quanta, and how far from a quantum apart their preemptions are. Under icount it
# fails if a worker loses 1 percent or more at 1 ms.

/^{/ {
	threads = scenario ~ /-/ ? substr(scenario, index(scenario, "-") + 1) : 1
	sub(/-.*/, "", scenario)
	if (!(n in is_quantum))
		quantum[++quanta] = n
	is_quantum[n] = 1
	if (!(peer in is_peer))
		order[++peers] = peer
	is_peer[peer] = 1
	key = scenario " " threads " " peer " " n
	value[key, "p50"] = p50
	value[key, "p99"] = number("p99")
	value[key, "max"] = number("max")
}

function time(ns) {
	return ns < 1000 ? sprintf("%.0fns", ns) : \
		ns < 1e5 ? sprintf("%.1fus", ns / 1e3) : \
		ns < 1e6 ? sprintf("%.0fus", ns / 1e3) : \
		sprintf("%.1fms", ns / 1e6)
}

function head(what,   i) {
	printf "\n%-24s", what
	for (i = 1; i <= quanta; i++)
		printf " %7s", time(quantum[i] * 1000)
	print ""
}

function row(name, scenario, threads, peer, which,   i, of) {
	printf "%-24s", name
	for (i = 1; i <= quanta; i++) {
		of = scenario " " threads " " peer " " quantum[i]
		printf " %7s", !((of, which) in value) ? "-" : \
			scenario == "quantum" ? \
			sprintf("%.2f", value[of, which] / 1e4) : \
			time(value[of, which])
	}
	print ""
}

END {
	worst = -1
	for (t = 1; t <= 8; t *= 2) {
		of = "quantum " t " worker 1000" SUBSEP "p50"
		if (of in value && worst < value[of])
			worst = value[of]
		head("percent lost by " t)
		for (i = 1; i <= peers; i++)
			row(order[i], "quantum", t, order[i], "p50")
	}
	for (t = 1; t <= 8; t *= 2) {
		head("jitter of " t)
		for (i = 1; i <= peers; i++) {
			row(sprintf("%-16s p50", order[i]), "jitter", t,
			    order[i], "p50")
			row(sprintf("%-16s p99", ""), "jitter", t, order[i], "p99")
			row(sprintf("%-16s max", ""), "jitter", t, order[i], "max")
		}
	}
	printf "\nAt 1 ms a worker loses at most %.2f percent\n", worst / 1e4
	exit where == "icount" && (worst < 0 || worst >= 1e4)
}
