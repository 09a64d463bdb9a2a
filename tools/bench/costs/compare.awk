# SPDX-License-Identifier: GPL-2.0
#
# Two lists of figures, as tools/bench/costs/run makes them: what of the second is more
# than 3 percent above the first, as TAP.

{
	key = $1 substr($0, length($1 $2) + 2)
	name = substr($0, length($1 $2) + 3)
}
FNR == NR {
	was[key] = $2
	next
}
$1 == "cost" && key in was && $2 > 1.03 * was[key] + 0.05 {
	print "# " name ": " $2 " instructions, was " was[key]
	worse++
}
$1 == "cost" {
	compared += key in was
}
$1 == "function" && key in was && $2 > was[key] {
	grown[name] = "# grew: " name ", " was[key] " to " $2 " instructions"
	by[name] = $2 - was[key]
}
$1 == "function" && !(key in was) {
	grown[name] = "# new: " name ", " $2 " instructions"
	by[name] = $2
}

# The one that grew most of those not told
function next_grown(	name, most)
{
	most = ""
	for (name in by)
		if (most == "" || by[name] > by[most])
			most = name
	return most
}

END {
	for (i = 0; worse && i < 8 && (name = next_grown()) != ""; i++) {
		print grown[name]
		delete by[name]
	}
	if (worse && !i)
		print "# no function grew: one calls or repeats more"
	print worse || !compared ? "not ok 1 - costs as in the baseline" : \
		"ok 1 - costs as in the baseline"
	print "1..1"
	exit worse || !compared
}
