// SPDX-License-Identifier: MIT
/* deadline why: what made observations late */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "json.h"
#include "picture.h"
#include "row.h"
#include "session.h"

#define SUMS	256
#define SHOWN	6	/* causes of one observation */

/* The time of all parts that tell the same; @text of the first of them */
struct sum {
	struct part key;
	uint64_t ns;
	bool named;
	char text[160];
};

/* What does not fit goes into the last. */
struct sums {
	struct sum sum[SUMS];
	size_t n;
};

/**
 * struct search - what was found so far
 * @late: observations later than asked for, of @observed
 * @never: expiries that nobody observed
 * @ns: the time of the late ones
 * @one: the parts of one observation
 * @all: those of all, some of the rare ones together
 * @causes: the time of each cause
 */
struct search {
	const struct session *session;
	struct picture *picture;
	struct parts parts;
	struct sums one;
	struct sums all;
	uint64_t causes[CAUSES];
	uint64_t late, observed, never, ns;
};

static bool same(const struct part *a, const struct part *b)
{
	return a->cause == b->cause && a->who == b->who && a->cpu == b->cpu &&
	       a->word == b->word && a->state == b->state;
}

static struct sum *sum_of(struct sums *sums, const struct part *key)
{
	size_t i;

	for (i = 0; i < sums->n; i++)
		if (same(&sums->sum[i].key, key))
			return &sums->sum[i];
	if (i == SUMS)
		return &sums->sum[SUMS - 1];
	sums->n++;
	memset(&sums->sum[i], 0, sizeof(sums->sum[i]));
	sums->sum[i].key = *key;
	return &sums->sum[i];
}

static void add(struct sums *sums, const struct part *key, uint64_t ns,
		const struct history *history, const struct expiry *expiry)
{
	struct sum *sum = sum_of(sums, key);

	if (!sum->named)
		cause_text(history, expiry, key, sum->text, sizeof(sum->text));
	sum->named = true;
	sum->ns += ns;
}

static int by_time(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

static unsigned int percent(uint64_t part, uint64_t all)
{
	return all ? (unsigned int)(100.0 * part / all + 0.5) : 0;
}

static void print(const struct search *search, const struct expiry *x,
		  const struct history *history)
{
	uint64_t late = x->seen - x->due, rest = 0;
	char text[8];
	size_t i;

	printf("%s late: %s (%u), queue %u slot %u data %#llx, deadline %.6f\n",
	       short_time(late, text), history_name(history, x->thread), x->thread,
	       x->queue, x->slot, (unsigned long long)x->data, x->due / 1e9);
	for (i = 0; i < search->one.n; i++) {
		const struct sum *sum = &search->one.sum[i];

		if (i >= SHOWN)
			rest += sum->ns;
		else
			printf("%8s %3u%%  %s\n", short_time(sum->ns, text),
			       percent(sum->ns, late), sum->text);
	}
	if (rest)
		printf("%8s %3u%%  %zu more\n", short_time(rest, text), percent(rest, late),
		       search->one.n - SHOWN);
	fflush(stdout);
}

static void print_sums(const struct sums *sums)
{
	size_t i;

	json_open("causes", '[');
	for (i = 0; i < sums->n; i++) {
		json_open(NULL, '{');
		json_string("cause", cause_name(sums->sum[i].key.cause));
		json_number("ns", sums->sum[i].ns);
		json_string("text", sums->sum[i].text);
		json_close('}');
	}
	json_close(']');
}

static void print_json(const struct search *search, const struct expiry *x,
		       const struct history *history)
{
	json_open(NULL, '{');
	json_number("due", x->due);
	json_number("queue", x->queue);
	json_number("slot", x->slot);
	json_number("data", x->data);
	json_number("owner", x->owner);
	json_number("thread", x->thread);
	json_string("thread_name", history_name(history, x->thread));
	json_number("word_late", x->at - x->due);
	json_number("observed_late", x->seen - x->due);
	print_sums(&search->one);
	json_close('}');
}

static void sum_up(struct search *search, const struct expiry *x,
		   const struct history *history)
{
	size_t i;

	search->one.n = 0;
	for (i = 0; i < search->parts.n; i++) {
		const struct part *part = &search->parts.part[i];

		search->causes[part->cause] += part->to - part->from;
		add(&search->one, part, part->to - part->from, history, x);
		add(&search->all, part, part->to - part->from, history, x);
	}
	qsort(search->one.sum, search->one.n, sizeof(search->one.sum[0]), by_time);
}

static void take(const struct expiry *x, const struct history *history, void *arg)
{
	struct search *search = arg;

	if (x->how == OBSERVED_NEVER) {
		search->never++;
		return;
	}
	search->observed++;
	if (x->seen - x->due <= search->session->late)
		return;
	search->late++;
	search->ns += x->seen - x->due;
	cause_find(history, x, &search->parts);
	sum_up(search, x, history);
	if (search->picture)
		picture_add(search->picture, history, x, &search->parts);
	if (search->session->json)
		print_json(search, x, history);
	else
		print(search, x, history);
}

/* The cause of most time that is not yet told, or CAUSES */
static enum cause next_cause(const struct search *search, bool told[CAUSES])
{
	enum cause cause, most = CAUSES;

	for (cause = 0; cause < CAUSES; cause++)
		if (search->causes[cause] && !told[cause] &&
		    (most == CAUSES || search->causes[cause] > search->causes[most]))
			most = cause;
	if (most < CAUSES)
		told[most] = true;
	return most;
}

/* The most frequent case of it */
static const char *mostly(const struct search *search, enum cause cause)
{
	size_t i;

	for (i = 0; i < search->all.n; i++)
		if (search->all.sum[i].key.cause == cause)
			return search->all.sum[i].text;
	return "";
}

static void print_summary(const struct search *search)
{
	bool told[CAUSES] = { false };
	enum cause cause;
	char text[8];

	printf("%llu of %llu observations were later than %s",
	       (unsigned long long)search->late, (unsigned long long)search->observed,
	       short_time(search->session->late, text));
	if (search->late)
		printf(", %s in all, %u%% of it explained", short_time(search->ns, text),
		       percent(search->ns - search->causes[CAUSE_UNKNOWN], search->ns));
	printf("; %llu expiries were not observed\n", (unsigned long long)search->never);
	while ((cause = next_cause(search, told)) != CAUSES)
		printf("%8s %3u%%  %-14s mostly %s\n",
		       short_time(search->causes[cause], text),
		       percent(search->causes[cause], search->ns), cause_name(cause),
		       mostly(search, cause));
}

static void print_summary_json(const struct search *search)
{
	bool told[CAUSES] = { false };
	enum cause cause;

	json_close(']');
	json_number("observed", search->observed);
	json_number("late", search->late);
	json_number("never", search->never);
	json_number("late_ns", search->ns);
	json_number("explained_ns", search->ns - search->causes[CAUSE_UNKNOWN]);
	json_open("causes", '[');
	while ((cause = next_cause(search, told)) != CAUSES) {
		json_open(NULL, '{');
		json_string("cause", cause_name(cause));
		json_number("ns", search->causes[cause]);
		json_string("mostly", mostly(search, cause));
		json_close('}');
	}
	json_close(']');
	json_close('}');
	putchar('\n');
}

static int search_all(struct search *search)
{
	const struct session *session = search->session;
	int status;

	if (session->json) {
		json_open(NULL, '{');
		json_open("observations", '[');
	}
	status = session_run(session, take, search);
	qsort(search->all.sum, search->all.n, sizeof(search->all.sum[0]), by_time);
	if (session->json)
		print_summary_json(search);
	else if (status == STATUS_OK)
		print_summary(search);
	if (search->picture && !picture_write(search->picture, session->picture))
		return STATUS_UNAVAILABLE;
	return status == STATUS_OK && !search->late ? STATUS_NOTHING : status;
}

static int why(int argc, char **argv)
{
	struct session session;
	struct search *search;
	int status;

	session_options(&session, &why_command, argc, argv, 100000);
	search = calloc(1, sizeof(*search));
	if (search && session.picture)
		search->picture = picture_new();
	if (!search || (session.picture && !search->picture)) {
		complain("no memory");
		free(search);
		return STATUS_UNAVAILABLE;
	}
	search->session = &session;
	status = search_all(search);
	picture_free(search->picture);
	free(search);
	return status;
}

const struct command why_command = {
	.name = "why",
	.summary = "what made observations late: other threads, a quota, interrupts off",
	.help =
"Usage: deadline why [OPTION...] [-- COMMAND [ARGUMENT...]]\n"
"\n"
"Print why expiries of COMMAND's queues, or of all, were observed late: what kept\n"
"the interrupt away until the word was over, then what kept the thread from\n"
"observing it, with the share of each; and a summary.\n"
"\n"
"      --svg FILE       draw the latest ones\n"
SESSION_HELP("100us")
"\n"
"Example: deadline why --late 1ms --svg late.svg -- ./server\n",
	.run = why,
};
