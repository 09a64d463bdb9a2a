# SPDX-License-Identifier: MIT
#
# Take deadline-bench's records apart: one a line, keys without quotes in them.

function text(key) {
	return match($0, "\"" key "\": \"[^\"]*\"") ? \
		substr($0, RSTART + length(key) + 5, RLENGTH - length(key) - 6) : ""
}

function number(key) {
	return match($0, "\"" key "\": [0-9.]+") ? \
		substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) + 0 : 0
}

# Lines of a percentage and what so many are at most
function distribution(   values, i, lines) {
	match($0, /"percentiles": \[[^]]*/)
	split(substr($0, RSTART + 16, RLENGTH - 16), values, ", ")
	for (i = 1; i <= 101; i++)
		lines = lines i - 1 " " values[i] "\n"
	return lines
}

/^{/ {
	where = text("where")
	scenario = text("scenario")
	peer = text("peer")
	unit = text("unit")
	n = number("n")
	p50 = number("p50")
}
