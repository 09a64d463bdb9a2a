// SPDX-License-Identifier: MIT
/*
 * SQLite: a query that ends with its context, in two ways. The progress handler reads
 * the context's word: a load every few instructions of SQLite's machine. Or a function
 * of deadline_after() interrupts the connection: nothing is asked meanwhile, and it
 * comes as late as the thread that calls it.
 */
#include <errno.h>
#include <sched.h>
#include <deadline.h>
#include <sqlite3.h>
#include "tell.h"

/* Instructions of SQLite's machine from one look at the word to the next */
#define EVERY 100

static const char endless[] =
	"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

static const char finite[] =
	"WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 20000) SELECT max(x) FROM n";

static int is_over(void *word)
{
	return deadline_over(word);
}

/* SQLITE_INTERRUPT: deadline_err(@context) tells why. */
static int query(deadline_context *context, sqlite3 *db, const char *sql)
{
	int ret;

	sqlite3_progress_handler(db, EVERY, is_over,
				 (void *)(uintptr_t)deadline_context_word(context));
	ret = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_progress_handler(db, 0, NULL, NULL);
	return ret;
}

struct running {
	sqlite3 *db;
	bool ended;
};

/* An interrupt that comes before the query has begun does nothing: so until it ended */
static void interrupt(void *arg)
{
	struct running *running = arg;

	while (!__atomic_load_n(&running->ended, __ATOMIC_ACQUIRE)) {
		sqlite3_interrupt(running->db);
		sched_yield();
	}
}

/* The same without a handler. The function is gone before the connection's next query. */
static int query_until(deadline_context *context, sqlite3 *db, const char *sql)
{
	struct running running = { .db = db };
	deadline_hook *hook;
	int ret;

	if (deadline_after(context, interrupt, &running, &hook))
		return SQLITE_NOMEM;
	ret = sqlite3_exec(db, sql, NULL, NULL, NULL);
	__atomic_store_n(&running.ended, true, __ATOMIC_RELEASE);
	deadline_hook_stop_wait(hook);
	deadline_hook_free(hook);
	return ret;
}

static void show(int (*query)(deadline_context *, sqlite3 *, const char *),
		 sqlite3 *db, const char *what)
{
	DEADLINE_AUTO deadline_context *root = NULL, *timed = NULL;
	char text[80];
	int ret;

	must(!deadline_with_cancel(deadline_background(), &root) &&
	     !deadline_with_timeout(root, 0, &timed, 20 * MS), "contexts");
	ret = query(timed, db, endless);
	snprintf(text, sizeof(text), "%s: a query ends at its deadline", what);
	tell(ret == SQLITE_INTERRUPT && deadline_err(timed) == -ETIME, text);
	ret = query(root, db, "SELECT 1");
	snprintf(text, sizeof(text), "%s: the next one does not", what);
	tell(ret == SQLITE_OK && !deadline_err(root), text);
}

static int nothing(void *unused)
{
	(void)unused;
	return 0;
}

static int count(void *calls)
{
	++*(unsigned int *)calls;
	return 0;
}

/* The least that a query takes whose every step calls @handler */
static double least(sqlite3 *db, int (*handler)(void *), void *arg)
{
	uint64_t begin, took, least = DEADLINE_NEVER;
	int i, ret;

	sqlite3_progress_handler(db, 1, handler, arg);
	for (i = 0; i < 5; i++) {
		begin = deadline_now();
		ret = sqlite3_exec(db, finite, NULL, NULL, NULL);
		took = deadline_now() - begin;
		must(ret == SQLITE_OK, "a query");
		least = took < least ? took : least;
	}
	sqlite3_progress_handler(db, 0, NULL, NULL);
	return least;
}

static void figure(sqlite3 *db)
{
	DEADLINE_AUTO deadline_context *timed = NULL;
	unsigned int calls = 0;
	double empty, full;

	must(!deadline_with_timeout(deadline_background(), 0, &timed, 1000 * SECOND),
	     "a context");
	least(db, count, &calls);
	empty = least(db, nothing, NULL);
	full = least(db, is_over, (void *)(uintptr_t)deadline_context_word(timed));
	tell_figure("a progress handler, over an empty one", 5 * (full - empty) / calls, 3);
}

int main(void)
{
	sqlite3 *db;

	must(sqlite3_open(":memory:", &db) == SQLITE_OK, "sqlite3_open()");
	show(query, db, "progress handler");
	show(query_until, db, "interrupt");
	figure(db);
	sqlite3_close(db);
	return tell_end();
}
