# SPDX-License-Identifier: MIT
#
# After record.awk, with deadline-bench's legend and bench.json: a table for each
# scenario and machine. One number: p50, p99, max and how many times ours and the
# floor that is; several: the p50 of each. Then all peers in one.

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
	return value[table, whose, n] ? \
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

# All peers by what matters most, under icount; none that has nothing of it
function summary(   i, j, p, of, wide, line, lines) {
	wide = split("arm-cancel 1,arm-cancel 10000,later 10000,earlier 10000," \
		     "over 1,burst 4096,wake 1,noticed 1", of, ",")
	for (i = 1; i <= peers; i++) {
		line = ""
		for (j = 1; j <= wide; j++) {
			split(of[j], p, " ")
			p[1] = p[1] " icount"
			line = line sprintf(" %7s", (p[1], peer_at[i], p[2]) in value ? \
				short(value[p[1], peer_at[i], p[2]]) : "-")
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

END {
	for (i = 1; i <= count; i++)
		show(tables[i])
	summary()
	print ""
	for (where in kernel)
		printf "%-16s Linux %s\n", where, kernel[where]
	for (i = 1; i <= peers; i++)
		printf "%-16s %s%s\n", peer_at[i], says[peer_at[i]],
			version[peer_at[i]] ? ", " version[peer_at[i]] : ""
}
