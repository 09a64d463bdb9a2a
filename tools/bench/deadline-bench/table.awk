# SPDX-License-Identifier: MIT
#
# After read-records.awk, with deadline-bench's legend and bench.json: a table for each
# scenario and machine. One number: p50, p99, max and how many times ours and the
# floor that is; several: the p50 of each. Then all peers in two.

/^# / && NF > 1 { says[$2] = $0; sub(/^# [^ ]+ +/, "", says[$2]); next }

/^{/ {
	table = scenario " " where
	if (!(table in units)) {
		tables[++count] = table
		units[table] = unit
	}
	if (!((table, peer) in is_row)) {
		is_row[table, peer] = 1
		row[table, ++rows[table]] = peer
	}
	if (!((table, n) in is_column)) {
		is_column[table, n] = 1
		column[table, ++columns[table]] = n
	}
	if (!(peer in version))
		peer_at[++peers] = peer
	version[peer] = text("version")
	kernel[where] = text("kernel")
	value[table, peer, n] = p50
	rest[table, peer, n] = sprintf("%10s %10s", short(number("p99")),
				       short(number("max")))
}

function short(x) {
	return x >= 1e6 ? sprintf("%.4ge6", x / 1e6) : \
		sprintf(x < 100 ? "%.1f" : "%.0f", x)
}

function times(table, p, n, whose) {
	return (table, whose, n) in value && value[table, whose, n] ? \
		sprintf("%.2f", value[table, p, n] / value[table, whose, n]) : "-"
}

function show(table,   i, j, name, p) {
	split(table, name, " ")
	printf "\n%s: %s (%s, %s)\n", name[1], says[name[1]], units[table], name[2]
	printf "%-16s", ""
	if (columns[table] == 1)
		printf "%10s %10s %10s %10s %10s\n", "p50", "p99", "max", "of ours",
			"of floor"
	else
		for (j = 1; j <= columns[table]; j++)
			printf "%10u%s", column[table, j],
				j == columns[table] ? "\n" : " "
	for (i = 1; i <= rows[table]; i++) {
		p = row[table, i]
		printf "%-16s", p
		for (j = 1; j <= columns[table]; j++)
			printf "%10s ", (table, p, column[table, j]) in value ? \
				short(value[table, p, column[table, j]]) : "-"
		n = column[table, 1]
		if (columns[table] == 1)
			printf "%s %9s %10s", rest[table, p, n],
				times(table, p, n, "deadline"),
				times(table, p, n, "floor")
		print ""
	}
}

function cell(scenario, p, n) {
	return (scenario " icount", p, n) in value ? \
		short(value[scenario " icount", p, n]) : "-"
}

# All peers by what matters most, under icount; none that has nothing of it
function costs(   i, j, p, of, wide, line, lines) {
	wide = split("arm-cancel 1,arm-cancel 10000,later 10000,earlier 10000," \
		     "over 1,burst 4096,wake 1,noticed 1", of, ",")
	for (i = 1; i <= peers; i++) {
		line = ""
		for (j = 1; j <= wide; j++) {
			split(of[j], p, " ")
			line = line sprintf(" %7s", cell(p[1], peer_at[i], p[2]))
		}
		if (line ~ /[0-9]/)
			lines = lines sprintf("%-16s%s\n", peer_at[i], line)
	}
	if (!lines)
		return
	printf "\n%-17s%s%18s\n", "Instructions:", "arm, cancel one", "move one"
	printf "%-16s %7s %7s %7s %7s %7s %7s %7s %7s\n%s", "", "alone", "of 10k", \
		"later", "earlier", "over?", "burst", "wake", "noticed", lines
}

# What one that is armed and cancelled costs in all, by timeouts and how many in turn
function steady(   i, j, k, p, of, timers, wide, high, line, lines) {
	wide = split("1ms 10ms 100ms", of, " ")
	high = split("1 100 10000", timers, " ")
	for (i = 1; i <= peers; i++) {
		line = ""
		for (j = 1; j <= wide; j++)
			for (k = 1; k <= high; k++)
				line = line sprintf(" %6s", cell("steady-" of[j], \
					peer_at[i], timers[k]))
		if (line ~ /[0-9]/)
			lines = lines sprintf("%-16s%s\n", peer_at[i], line)
	}
	if (!lines)
		return
	printf "\n%-17s%-21s%-21s%s\n", "Steady state:", "for 1 ms, each of", \
		"for 10 ms", "for 100 ms"
	printf "%-16s", ""
	for (j = 1; j <= wide; j++)
		printf " %6s %6s %6s", "1", "100", "10k"
	printf "\n%s", lines
}

# And by how late they are where much is going on, or the task may not run
function lateness(   i, p, lines) {
	for (i = 1; i <= peers; i++) {
		p = peer_at[i]
		if (!(("concurrent icount", p, 10000) in rest))
			rest["concurrent icount", p, 10000] = "-          -"
		if (cell("concurrent", p, 10000) cell("quota-seen", p, 1) == "--")
			continue
		lines = lines sprintf("%-16s %7s %21s %7s %8s %10s %8s\n", p, \
			cell("concurrent", p, 10000), \
			rest["concurrent icount", p, 10000], \
			cell("quota-expired", p, 1), cell("quota-seen", p, 1), \
			cell("quota-throttled", p, 1), cell("quota-rest", p, 1))
	}
	if (!lines)
		return
	printf "\n%-30s%s%38s\n", "ns late:", "one of 10k", \
		"beside a CPU quota of 20 %"
	printf "%-16s %7s %10s %10s %7s %8s %10s %8s\n%s", "", "p50", "p99", \
		"max", "due", "seen", "throttled", "rest", lines
}

END {
	for (i = 1; i <= count; i++)
		show(tables[i])
	costs()
	steady()
	lateness()
	print ""
	for (where in kernel)
		printf "%-16s Linux %s\n", where, kernel[where]
	for (i = 1; i <= peers; i++)
		printf "%-16s %s%s\n", peer_at[i], says[peer_at[i]],
			version[peer_at[i]] ? ", " version[peer_at[i]] : ""
}
