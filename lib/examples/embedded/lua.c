// SPDX-License-Identifier: MIT
/*
 * Lua: a script that ends at its deadline, and until then runs without a hook: it costs
 * nothing. The expiry signals the thread, whose handler sets the hook, as lua_sethook()
 * may be called there; the hook runs at the next instruction and throws.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <deadline.h>
#include <lauxlib.h>
#include <lualib.h>
#include "tell.h"

/* One interpreter, its thread's */
static struct {
	lua_State *lua;
	deadline_queue *queue;
	deadline_slot *slot;
	volatile sig_atomic_t running;
	uint64_t stopped;
} interpreter;

static void stop(lua_State *lua, lua_Debug *debug)
{
	(void)debug;
	interpreter.stopped = deadline_now();
	/* The hook stays: whatever of the script catches this is ended by the next. */
	luaL_error(lua, "deadline exceeded");
}

/* A signal may be late, and find that its script has ended, or another runs. */
static void on_signal(int signal)
{
	(void)signal;
	if (interpreter.running && deadline_over(deadline_slot_word(interpreter.slot)))
		lua_sethook(interpreter.lua, stop, LUA_MASKCALL | LUA_MASKRET |
			    LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void open_interpreter(void)
{
	struct deadline_options options = { .slots = 1 };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	interpreter.lua = luaL_newstate();
	must(interpreter.lua, "luaL_newstate()");
	luaL_openlibs(interpreter.lua);
	sigaction(SIGUSR1, &action, NULL);
	must(!deadline_queue_open(&interpreter.queue, &options) &&
	     !deadline_queue_set_signal(interpreter.queue, gettid(), SIGUSR1) &&
	     !deadline_slot_alloc(interpreter.queue, 0, &interpreter.slot), "a slot");
}

/* The script's error, or NULL */
static const char *call(const char *script)
{
	lua_State *lua = interpreter.lua;

	lua_settop(lua, 0);
	if (luaL_loadstring(lua, script) == LUA_OK && lua_pcall(lua, 0, 0, 0) == LUA_OK)
		return NULL;
	return lua_tostring(lua, -1);
}

/* The same until a deadline */
static const char *run(const char *script, uint64_t deadline)
{
	const char *error;

	if (deadline_slot_arm(interpreter.slot, 0, deadline))
		return "deadline_slot_arm()";
	interpreter.running = true;
	/* It may have come before that. */
	on_signal(SIGUSR1);
	error = call(script);
	interpreter.running = false;
	lua_sethook(interpreter.lua, NULL, 0, 0);
	deadline_slot_cancel(interpreter.slot);
	deadline_slot_drop(interpreter.slot);
	return error;
}

/* What this example does without: a hook that asks now and then, here for nothing */
static void ask(lua_State *lua, lua_Debug *debug)
{
	(void)lua;
	(void)debug;
}

/* The least that a loop takes, with and without a deadline that is far away */
static double least(bool timed)
{
	static const char loop[] = "for i = 1, 1000000 do end";
	uint64_t begin, took, least = DEADLINE_NEVER;
	int i;

	for (i = 0; i < 5; i++) {
		begin = deadline_now();
		must(!(timed ? run(loop, deadline_in(1000 * SECOND)) : call(loop)), loop);
		took = deadline_now() - begin;
		least = took < least ? took : least;
	}
	return least;
}

static void figures(void)
{
	double plain = least(false);
	uint64_t when, late[100];
	int i;

	tell_figure("a loop of a million turns under a deadline, over one without",
		    least(true) - plain, 4000);
	lua_sethook(interpreter.lua, ask, LUA_MASKCOUNT, 1000);
	printf("# a hook in its place makes that %.2f times as long\n",
	       least(false) / plain);
	lua_sethook(interpreter.lua, NULL, 0, 0);
	for (i = 0; i < 100; i++) {
		when = deadline_in(MS + i * (MS / 1000));
		run("while true do end", when);
		late[i] = interpreter.stopped - when;
	}
	/* Another timer interrupt of the kernel may come at the same time as a few. */
	tell_figure("from the deadline to the hook, p95", tell_percentile(late, 100, 95), 4600);
}

int main(void)
{
	uint64_t when;
	const char *error;

	open_interpreter();
	when = deadline_in(20 * MS);
	error = run("while true do end", when);
	tell(error && strstr(error, "deadline exceeded") && deadline_now() >= when,
	     "an endless loop ends at its deadline");
	error = run("local s = 0 for i = 1, 10 do s = s + i end assert(s == 55)",
		    deadline_in(1000 * SECOND));
	tell(!error, "the next script does not");
	error = run("while true do pcall(function() while true do end end) end", 1);
	tell(error, "nor can a script catch it for ever");
	figures();
	deadline_queue_destroy(interpreter.queue);
	lua_close(interpreter.lua);
	return tell_end();
}
