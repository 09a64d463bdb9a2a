# SPDX-License-Identifier: MIT
#
# After a file of blocks, each a "name" and its points of x and y, as draw makes them:
# where each line ends, its name and its colour. On a log axis the names are as far apart
# as GAP times; BLUE is ours, GREY the others.

/^"/ { name[++names] = $0; next }
NF == 2 { x[names] = $1; y[names] = $2 }

END {
	for (i = 1; i <= names; i++) {
		for (j = i; j > 1 && y[order[j - 1]] > y[i]; j--)
			order[j] = order[j - 1]
		order[j] = i
		at[i] = log(y[i])
	}
	# Those that are too close give way, both alike, until none is.
	for (moved = 1; moved && turns++ < 1000;) {
		moved = 0
		for (i = 2; i <= names; i++) {
			short = log(GAP) - at[order[i]] + at[order[i - 1]]
			if (short < 0.001)
				continue
			at[order[i]] += short / 2
			at[order[i - 1]] -= short / 2
			moved = 1
		}
	}
	for (i = 1; i <= names; i++)
		print x[i], exp(at[i]), name[i], name[i] ~ /^"ours/ ? BLUE : GREY
}
