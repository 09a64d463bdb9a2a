// SPDX-License-Identifier: GPL-2.0
/*
 * <deadline.hpp>: owners give back what they have and nothing else, times of
 * std::chrono arrive as they were meant, and what fails in C throws.
 */
#include <atomic>
#include <csignal>
#include <cstring>
#include <pthread.h>
#include <unistd.h>
#include <deadline.hpp>
#include "kselftest.h"

using namespace std::chrono_literals;
using deadline::context;
using deadline::moment;
using deadline::span;

static deadline::time_point in(std::chrono::nanoseconds time)
{
	return deadline::clock::now() + time;
}

/* What @call throws: the error, 0 if it does not, -1 if it is not told by @name */
template<class Call>
static int thrown(const char *name, Call call)
{
	try {
		call();
	} catch (const std::system_error &error) {
		if (!strstr(error.what(), name) ||
		    error.code().category() != std::generic_category())
			return -1;
		return error.code().value();
	}
	return 0;
}

template<class Duration>
static constexpr uint64_t at(Duration time)
{
	return moment(std::chrono::time_point<deadline::clock, Duration>(time)).ns;
}

static bool durations()
{
	using picoseconds = std::chrono::duration<int64_t, std::pico>;
	using samples = std::chrono::duration<int64_t, std::ratio<1, 44100>>;
	using frames = std::chrono::duration<int64_t, std::ratio<1001, 30000>>;
	using seconds = std::chrono::duration<float>;
	volatile int64_t day = 86400;

	static_assert(span(5ms).ns == 5000000 && at(5ms) == 5000000);
	return span(picoseconds(1)).ns == 1 && at(picoseconds(1001)) == 2 &&
	       span(-1ns).ns == 0 && at(-1h) == 0 && span(0s).ns == 0 &&
	       at(std::chrono::nanoseconds::min()) == 0 &&
	       span(std::chrono::hours::max()).ns == DEADLINE_NEVER &&
	       at(std::chrono::nanoseconds::max()) == DEADLINE_NEVER &&
	       at(std::chrono::nanoseconds::max() - 1ns) == INT64_MAX - 1 &&
	       span(seconds(0.5f)).ns == 500000000 &&
	       span(samples(44100 * day * 36500 + 1)).ns == 3153600000000022676 &&
	       span(frames(30000 * day * 10)).ns == 864864000000000 * 1000 &&
	       span(seconds(1e30f)).ns == DEADLINE_NEVER &&
	       moment(deadline::never).ns == DEADLINE_NEVER &&
	       moment(deadline::clock::now()).ns <= deadline_now() &&
	       moment(in(1h)).ns > deadline_now();
}

static bool contexts()
{
	int key = 0;
	auto root = context::background().with_cancel();
	auto when = in(1h);
	auto dated = root.with_deadline(when, 1);
	auto timed = dated.with_timeout(2ms, 2);
	auto valued = timed.with_value(&key, &key);
	auto loose = valued.without_cancel();
	auto slack = root.with_slack(in(1h), 1h, 4);
	bool good = dated.when() == when && !root.over() && !root.err() &&
		    root.when() == deadline::never && dated.remaining() <= 1h &&
		    dated.remaining() > 59min && valued.value(&key) == &key;

	good = good && timed.wait() && timed.over() && valued.over() &&
	       valued.err() == std::error_code(ETIME, std::generic_category()) &&
	       valued.cause() == 2 && timed.remaining() == 0ns;
	good = good && slack.move(in(2h)) && !slack.wait(in(1ms));
	return good && root.cancel(3) && !root.cancel(4) && dated.over() &&
	       slack.over() && slack.cause() == 3 && !slack.move(in(1h)) &&
	       dated.err() == std::errc::operation_canceled && !loose.over() &&
	       loose.value(&key) == &key;
}

/* A function that counts, as late as it is called */
struct counting {
	std::atomic<int> &count;

	void operator()()
	{
		count++;
	}
};

static void wait_for(const std::atomic<int> &count)
{
	while (!count)
		usleep(100);
}

/* The last owner's end is the context's; one that was moved from owns nothing. */
static bool releases()
{
	std::atomic<int> ran = 0, kept = 0;
	auto first = context::background().with_cancel();
	auto parent = context::background().with_cancel();
	deadline::after other(parent, counting{ kept });
	{
		auto second = std::move(first);
		auto third = second.ref();
		deadline::after call(third, counting{ ran });

		second = parent.with_cancel();
		if (ran || third.over())
			return false;
		third = parent.ref();
		wait_for(ran);
	}
	return ran == 1 && !kept && !parent.over() && !first.get() && other.stop();
}

static bool after_stops()
{
	std::atomic<int> ran = 0, slow = 0;
	auto root = context::background().with_cancel();
	bool good;
	{
		deadline::after never(root, counting{ ran });
	}
	{
		deadline::after waits(root, [&] { ran++; usleep(20000); slow++; });

		root.cancel();
		wait_for(ran);
		good = !waits.stop();
	}
	return good && ran == 1 && slow == 1;
}

static bool throws()
{
	int fds[2];
	char byte;
	auto root = context::background().with_cancel();
	auto timed = root.with_timeout(1ms);
	auto queue = deadline::queue();
	auto slot = deadline::slot(queue);
	bool good;

	if (pipe(fds))
		return false;
	slot.arm(in(1h));
	good = thrown("deadline_cancel", [] { context::background().cancel(); }) == EINVAL &&
	       thrown("deadline_with_value", [&] {
			root.with_value(nullptr, nullptr); }) == EINVAL &&
	       thrown("deadline_slot_arm", [&] { slot.arm(in(1h)); }) == EBUSY &&
	       thrown("deadline_slot_set_slack", [&] { slot.set_slack(1ms); }) == EBUSY &&
	       thrown("deadline_read", [&] { timed.read(fds[0], &byte, 1); }) == ETIME &&
	       thrown("deadline_read", [&] {
			root.read(fds[0], &byte, 1, in(1ms)); }) == ETIMEDOUT &&
	       thrown("deadline_sleep", [&] { timed.sleep(in(1h)); }) == ETIME &&
	       thrown("deadline_write", [&] {
			root.write(fds[1], "x", 1); root.sleep(in(1ms)); }) == 0 &&
	       root.read(fds[0], &byte, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return good && thrown("deadline_queue_open", [] {
		deadline_options options = {};

		options.backend = 42;
		deadline::queue refused(options);
	}) == EINVAL;
}

static bool slots()
{
	deadline::queue queue;
	deadline_record record;
	bool good;
	{
		deadline::slot first(queue, 42), second(queue);
		auto moved = std::move(second);

		moved.set_period(1ms);
		moved.arm(deadline::never);
		first.set_slack(1us);
		first.arm(in(1h));
		good = queue.stats().allocated == 2 && !queue.pending() &&
		       !queue.wait(in(1ms)) && !first.over();
		auto when = in(2ms);
		good = good && first.move(when) && queue.wait() && queue.pending() &&
		       first.over() && queue.reap(&record, 1) == 1 && record.user_data == 42 &&
		       record.slot == first.get() && record.when >= moment(when).ns &&
		       !first.cancel() && moved.cancel() && !moved.expire();
	}
	return good && queue.stats().allocated == 0 && queue.fd() >= 0 &&
	       queue.backend() > 0;
}

static std::atomic<int> signals;

static void on_signal(int)
{
	signals++;
}

/* Signals at a thread that sleeps do not end its waits. */
static bool waits_through_signals()
{
	struct sigaction action = {};
	auto root = context::background().with_cancel();
	std::atomic<int> ended = 0;
	pthread_t self = pthread_self();
	deadline::queue queue;

	action.sa_handler = on_signal;
	sigaction(SIGUSR1, &action, nullptr);
	pthread_t other;
	auto arg = std::make_pair(&ended, self);
	pthread_create(&other, nullptr, [](void *arg) -> void * {
		auto pair = static_cast<std::pair<std::atomic<int> *, pthread_t> *>(arg);

		while (!*pair->first) {
			pthread_kill(pair->second, SIGUSR1);
			usleep(500);
		}
		return nullptr;
	}, &arg);
	bool good = true;
	do {
		good = good && !root.wait(in(20ms)) && !queue.wait(in(20ms));
	} while (good && signals < 10);
	ended = 1;
	pthread_join(other, nullptr);
	return good;
}

static bool stop_tokens()
{
#ifdef __cpp_lib_jthread
	auto root = context::background().with_cancel();
	auto timed = root.with_timeout(1ms);
	deadline::stop_after until(timed), longer(root);
	std::stop_source source, unused;
	auto child = root.with_cancel(), other = root.with_cancel();
	deadline::cancel_at_stop bridge(source.get_token(), child, 7);
	{
		deadline::cancel_at_stop gone(unused.get_token(), other);
	}
	unused.request_stop();
	source.request_stop();
	while (!until.get_token().stop_requested())
		usleep(100);
	return timed.over() && child.over() && child.cause() == 7 && !root.over() &&
	       !other.over() && !longer.get_token().stop_requested();
#else
	return true;
#endif
}

int main()
{
	const char *wanted = getenv("DEADLINE_BACKEND");

	ksft_print_header();
	if (wanted && wanted[0] == 'k' && access("/dev/deadline", F_OK))
		ksft_exit_skip("no /dev/deadline\n");
	ksft_set_plan(8);
	ksft_test_result(durations(), "durations\n");
	ksft_test_result(contexts(), "contexts\n");
	ksft_test_result(releases(), "releases\n");
	ksft_test_result(after_stops(), "after_stops\n");
	ksft_test_result(throws(), "throws\n");
	ksft_test_result(slots(), "slots\n");
	ksft_test_result(waits_through_signals(), "waits_through_signals\n");
	ksft_test_result(stop_tokens(), "stop_tokens\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
