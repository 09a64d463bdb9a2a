# SPDX-License-Identifier: GPL-2.0
#
# The judge of what selftests/each printed: writes each failure, with the lines
# before it, and last "PASSED FAILED SKIPPED". Only results at the start of a
# line count. A program fails as a whole, whatever its results say, that does
# not end well, that breaks its plan, or that a sanitizer complains of.
#
# The variable part is the name of the part, and kernel that of its guest's kernel;
# SKIPS, in the environment, has the skips that are expected, one a line: part or
# kernel, program, and the text after "SKIP".

# What was said since the last result: the last lines of it are its context.
function said(line)
{
	context[lines++ % 60] = line
}

function fail(what,	i)
{
	failed++
	if (lines > 60)
		print "# ..."
	for (i = lines > 60 ? lines - 60 : 0; i < lines; i++)
		print context[i % 60]
	print what
	lines = 0
}

function program_ends(status)
{
	if (status == 137)
		fail("not ok - " program ": killed: took too long?")
	else if (status == "none")
		fail("not ok - " program ": did not end")
	else if (status == 4 && whole)
		;
	else if (!planned || plan != results || !results)
		fail("not ok - " program ": " results + 0 " results, " \
		     (planned ? plan : "none") " planned, status " status)
	else if (status && !bad)
		fail("not ok - " program ": status " status)
	else if (complaints)
		fail("not ok - " program ": " complaints " sanitizer reports")
	program = ""
}

function expected(line)
{
	return index("\n" ENVIRON["SKIPS"] "\n", "\n" line "\n")
}

function skip(line)
{
	sub(/.*# SKIP */, "", line)
	if (expected(part " " program " " line) ||
	    (kernel && expected(kernel " " program " " line))) {
		skipped++
	} else {
		bad++
		fail("not ok - " program ": unexpected skip: " line)
	}
}

/^# program / {
	if (program != "")
		program_ends("none")
	program = $3
	plan = results = bad = planned = whole = complaints = lines = 0
	next
}
/^# status [0-9]+$/ && program != "" {
	program_ends($3 + 0)
	next
}
/^1\.\.0 # SKIP/ {
	whole = 1
	skip($0)
	next
}
/^1\.\.[0-9]+/ {
	planned = 1
	plan += substr($1, 4)
	next
}
/^ok[ \t]/ {
	results++
	if (/# SKIP/)
		skip($0)
	else
		passed++
	lines = 0
	next
}
/^not ok/ {
	results++
	bad++
	fail($0)
	next
}
/ThreadSanitizer: |AddressSanitizer: |LeakSanitizer: |: runtime error: / {
	complaints++
}
NF {
	said($0)
}
END {
	if (program != "")
		program_ends("none")
	if (passed + failed + skipped == 0)
		fail("not ok - " part ": no test ran")
	print passed + 0, failed + 0, skipped + 0
}
