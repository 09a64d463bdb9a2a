# SPDX-License-Identifier: GPL-2.0
#
# Usage: awk -f lines.awk RAN DISASSEMBLY
#
# Which lines of kmod/ ran: RAN has the calls of __sanitizer_cov_trace_pc() that
# did ("# ran SECTION OFFSET", of the instruction after the call); DISASSEMBLY is
# objdump's, with relocations, lines and inlines.  Writes "FILE LINE RAN", RAN
# being 1 or 0, for each line that has code.
#
# An instruction ran with the call before it, with no jump away in between; what
# a function begins with, before its first call, with that.  Where the call is a
# function's last, and so a jump, it tells nothing: it returns to another function.
# An instruction is of its own line and of those that it was inlined to.

FILENAME == ARGV[1] {
	if ($2 == "ran")
		ran[$3 " " $4] = 1
	next
}

# Its lines ran, or did not, as the call at @point did.
function count(lines, point,	i, n, each)
{
	n = split(lines, each, "\n")
	for (i = 1; i <= n; i++)
		result[each[i]] += point in ran
}

# The instruction before this one is over: what follows it is known.
function finish()
{
	if (traces) {
		point = section " " at
		count(first lines, point)
		first = ""
	} else if (point != "") {
		count(lines, point)
	} else if (begins) {
		first = first lines "\n"
	}
	if (traces)
		begins = 0
	else if (away)
		point = ""
	traces = away = 0
}

/^Disassembly of section / {
	section = $4
	sub(/:$/, "", section)
	next
}
/^[0-9a-f]+ <.*>:$/ {
	at = "none"
	finish()
	generated = $2 ~ /^<(__traceiter|__probestub|perf_trace|trace)_/
	point = first = lines = own = inlined = ""
	begins = 1
	next
}
/^ *[0-9a-f]+:\t/ {
	at = $1
	sub(/:$/, "", at)
	finish()
	lines = own inlined
	inlined = ""
	away = $2 ~ /^(jmp|ret|ud2)/
	next
}
/R_X86_64_PLT32\t__sanitizer_cov_trace_pc/ {
	traces = !away
	next
}
/^inlined by / || /^ *\/.*:[0-9]+/ {
	line = $0
	if (sub(/.*\/kmod\/(\.\/)?/, "kmod/", line)) {
		sub(/ .*/, "", line)
		sub(/:/, " ", line)
	} else {
		line = ""
	}
	if (generated || line ~ /^kmod\/coverage.c/)
		line = ""
	if (/^inlined by /)
		inlined = inlined (line == "" ? "" : "\n" line)
	else
		own = line
}
END {
	for (line in result)
		if (line != "")
			print line, (result[line] > 0)
}
