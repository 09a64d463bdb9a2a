// SPDX-License-Identifier: MIT
/* What trace and why have in common: see session.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "live.h"
#include "session.h"

enum {
	OPTION_LATE = OPTION_OWN,
	OPTION_QUEUE,
	OPTION_DATA,
	OPTION_FOR,
	OPTION_FROM,
	OPTION_RECORD,
	OPTION_SVG,
};

/* A number that may be an address, so in any base that C has */
static uint64_t data_option(const char *text)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-')
		usage_error("--data '%s': wants a number", text);
	return value;
}

static void take_option(struct session *session, const struct command *command, int c)
{
	struct common common = { .json = false };

	switch (c) {
	case OPTION_LATE:
		session->late = time_option("--late", optarg);
		return;
	case OPTION_QUEUE:
		session->wanted.queue = number_option("--queue", optarg, 0, UINT32_MAX);
		session->wanted.by_queue = true;
		return;
	case OPTION_DATA:
		session->wanted.data = data_option(optarg);
		session->wanted.by_data = true;
		return;
	case OPTION_FOR:
		session->lasting = time_option("--for", optarg);
		return;
	case OPTION_FROM:
		session->from = optarg;
		return;
	case OPTION_RECORD:
		session->record = optarg;
		return;
	case OPTION_SVG:
		session->picture = optarg;
		return;
	case 'p':
		session->wanted.root = number_option("--pid", optarg, 1, EVENT_PIDS - 1);
		return;
	case 'u':
		session->wanted.user = user_option(optarg);
		session->wanted.by_user = true;
		return;
	case OPTION_JSON:
		session->json = true;
		return;
	}
	/* Help, or what is no option */
	common_option(command, &common, c);
}

void session_options(struct session *session, const struct command *command, int argc,
		     char **argv, uint64_t late)
{
	/* The last is why's alone. */
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "pid", required_argument, NULL, 'p' },
		{ "user", required_argument, NULL, 'u' },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "late", required_argument, NULL, OPTION_LATE },
		{ "queue", required_argument, NULL, OPTION_QUEUE },
		{ "data", required_argument, NULL, OPTION_DATA },
		{ "for", required_argument, NULL, OPTION_FOR },
		{ "from", required_argument, NULL, OPTION_FROM },
		{ "record", required_argument, NULL, OPTION_RECORD },
		{ "svg", required_argument, NULL, OPTION_SVG },
		{ }
	};
	int c;

	memset(session, 0, sizeof(*session));
	session->late = late;
	session->lasting = UINT64_MAX;
	while ((c = getopt_long(argc, argv, "+hp:u:", options, NULL)) != -1) {
		if (c == OPTION_SVG && strcmp(command->name, "why"))
			usage_error("--svg is for deadline why");
		take_option(session, command, c);
	}
	if (optind < argc)
		session->command = argv + optind;
	if (session->from && (session->command || session->record))
		usage_error("--from: neither --record nor a command go with it");
	if (session->command && session->wanted.root)
		usage_error("--pid: not with a command, whose queues are looked at");
}

/* What stands between the events and the command */
struct run {
	const struct session *session;
	struct history *history;
	struct expiries *expiries;
	FILE *record;
	void (*take)(const struct expiry *expiry, const struct history *history, void *arg);
	void *arg;
};

static void take_event(const struct event *event, void *arg)
{
	struct run *run = arg;

	if (run->record)
		event_print(event, run->record);
	expiries_add(run->expiries, event);
}

static void take_expiry(const struct expiry *expiry, void *arg)
{
	struct run *run = arg;

	run->take(expiry, run->history, run->arg);
}

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

/*
 * Begin the command, but have it wait until the other end of *@go is written to or, and
 * then it ends, closed. Returns its process, or -1.
 */
static pid_t begin_command(char **command, int *go)
{
	int ends[2];
	pid_t pid;
	char c;

	if (pipe(ends))
		return -1;
	pid = fork();
	if (pid) {
		close(ends[0]);
		if (pid < 0)
			close(ends[1]);
		*go = ends[1];
		return pid;
	}
	close(ends[1]);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (read(ends[0], &c, 1) != 1)
		_exit(STATUS_USAGE);
	close(ends[0]);
	execvp(command[0], command);
	complain("%s: %s", command[0], strerror(errno));
	_exit(127);
}

/* The program is where execvp() finds it: have its probes traced from its first moment. */
static void probe_command(struct live *live, const char *name)
{
	const char *path = getenv("PATH"), *end;
	char file[4096];

	if (strchr(name, '/')) {
		live_probe_file(live, name);
		return;
	}
	for (; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		snprintf(file, sizeof(file), "%.*s/%s", (int)(end - path), path, name);
		if (!access(file, X_OK)) {
			live_probe_file(live, file);
			return;
		}
	}
}

static uint64_t seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

/* Read until the command or the time ends, and then what it did last. */
static int follow(struct run *run, struct live *live, pid_t child)
{
	const struct session *session = run->session;
	uint64_t begin = seconds_now();
	bool ended = false;
	int wstatus = 0;

	while (!ended) {
		ended = stop || seconds_now() - begin >= session->lasting ||
			(child > 0 && waitpid(child, &wstatus, WNOHANG) == child);
		if (!live_read(live, take_event, run))
			return STATUS_UNAVAILABLE;
	}
	if (child > 0 && WIFEXITED(wstatus) && WEXITSTATUS(wstatus))
		complain("%s: it exited with %d", session->command[0],
			 WEXITSTATUS(wstatus));
	else if (child > 0 && WIFSIGNALED(wstatus))
		complain("%s: signal %d", session->command[0], WTERMSIG(wstatus));
	return STATUS_OK;
}

static bool make_expiries(struct run *run, pid_t root)
{
	struct wanted wanted = run->session->wanted;

	if (root > 0)
		wanted.root = root;
	run->expiries = expiries_new(&wanted, run->history, take_expiry, run);
	if (!run->expiries)
		complain("no memory");
	return run->expiries;
}

static int run_command(struct run *run, struct live *live)
{
	char **command = run->session->command;
	int status = STATUS_UNAVAILABLE, go;
	pid_t child;

	probe_command(live, command[0]);
	child = begin_command(command, &go);
	if (child < 0) {
		complain("%s: %s", command[0], strerror(errno));
		return STATUS_UNAVAILABLE;
	}
	if (make_expiries(run, child)) {
		if (write(go, "", 1) != 1)
			complain("%s: %s", command[0], strerror(errno));
		status = follow(run, live, child);
	}
	close(go);
	return status;
}

static int run_live(struct run *run)
{
	struct sigaction action = { .sa_handler = on_signal };
	int status = STATUS_UNAVAILABLE;
	struct live *live;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	live = live_open(run->session->late);
	if (!live)
		return STATUS_UNAVAILABLE;
	if (run->session->command)
		status = run_command(run, live);
	else if (make_expiries(run, 0))
		status = follow(run, live, 0);
	live_close(live);
	return status;
}

static int run_events(struct run *run)
{
	if (!run->session->from)
		return run_live(run);
	if (!make_expiries(run, 0))
		return STATUS_UNAVAILABLE;
	return events_read(run->session->from, take_event, run) ? STATUS_OK :
	       STATUS_UNAVAILABLE;
}

int session_run(const struct session *session,
		void (*take)(const struct expiry *, const struct history *, void *),
		void *arg)
{
	struct run run = { .session = session, .take = take, .arg = arg };
	int status;

	if (session->record) {
		run.record = fopen(session->record, "we");
		if (!run.record) {
			complain("%s: %s", session->record, strerror(errno));
			return STATUS_UNAVAILABLE;
		}
		fputs(EVENT_HEADER "\n", run.record);
	}
	run.history = history_new();
	status = run.history ? run_events(&run) : STATUS_UNAVAILABLE;
	if (run.expiries) {
		expiries_end(run.expiries);
		if (expiries_lost(run.expiries))
			complain("%llu events were lost: what follows from them is not known",
				 (unsigned long long)expiries_lost(run.expiries));
		expiries_free(run.expiries);
	}
	if (run.history)
		history_free(run.history);
	if (run.record && fclose(run.record)) {
		complain("%s: %s", session->record, strerror(errno));
		status = STATUS_UNAVAILABLE;
	}
	return status;
}
