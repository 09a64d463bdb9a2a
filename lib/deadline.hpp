// SPDX-License-Identifier: MIT
/*
 * <deadline.h> for C++17 and later: owners that give back what they have, times of
 * std::chrono, and exceptions. There is nothing to link but the library.
 *
 * A member has the name of the C function that it calls, and what <deadline.h> says of
 * that holds here, with three differences. Where the C function fails, the member
 * throws std::system_error with that error and the function's name; what is no failure
 * there is none here. Times are those of std::chrono::steady_clock, which counts
 * CLOCK_MONOTONIC: rounded up to ns, those before its epoch are 0, and those of more
 * than 292 years are never. And waits are not interrupted by signals.
 *
 * Owners can be moved, not copied; one that was moved from may only be destroyed or
 * assigned to. A queue must outlive its slots, as a context need not its children.
 * get() is for the C functions that have no member here.
 */
#ifndef DEADLINE_HPP
#define DEADLINE_HPP

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>
#include <deadline.h>
#if __has_include(<stop_token>)
#include <stop_token>
#endif

namespace deadline {

using clock = std::chrono::steady_clock;
using time_point = std::chrono::time_point<clock, std::chrono::nanoseconds>;

namespace detail {

[[noreturn, gnu::cold, gnu::noinline]]
inline void fail(int error, const char *call)
{
	throw std::system_error(-error, std::generic_category(), call);
}

template<class T>
T check(T ret, const char *call)
{
	if (__builtin_expect(ret < 0, 0))
		fail(static_cast<int>(ret), call);
	return ret;
}

/* What a C function made: where that says so, no owner asks whether it has something. */
template<class T>
T *made(T *what)
{
	if (!what)
		__builtin_unreachable();
	return what;
}

template<class Rep, class Period>
constexpr uint64_t count(std::chrono::duration<Rep, Period> time)
{
	using std::chrono::nanoseconds;
	using real = std::chrono::duration<double, std::nano>;

	if (!(time > time.zero()))
		return 0;
	if constexpr (std::is_same_v<decltype(time), nanoseconds>) {
		if (time == nanoseconds::max())
			return DEADLINE_NEVER;
	} else if (real(time) >= real(nanoseconds::max())) {
		return DEADLINE_NEVER;
	}
	/* Whole seconds apart: the rest is few enough units of any ratio for 64 bits. */
	const auto whole = std::chrono::floor<std::chrono::seconds>(time);

	return static_cast<uint64_t>((nanoseconds(whole) +
				      std::chrono::ceil<nanoseconds>(time - whole)).count());
}

constexpr std::chrono::nanoseconds nanoseconds(uint64_t ns)
{
	return std::chrono::nanoseconds(ns < INT64_MAX ? ns : INT64_MAX);
}

template<auto call>
struct gives_back {
	template<class T>
	void operator()(T *what) const
	{
		call(what);
	}
};

} /* namespace detail */

/* A time, as the C functions have it; any time_point of the clock becomes one. */
class moment {
public:
	template<class Duration>
	constexpr moment(std::chrono::time_point<clock, Duration> when)
		: ns(detail::count(when.time_since_epoch())) {}

	uint64_t ns;
};

/* So long, as the C functions have it; any duration becomes one. */
class span {
public:
	template<class Rep, class Period>
	constexpr span(std::chrono::duration<Rep, Period> time)
		: ns(detail::count(time)) {}

	uint64_t ns;
};

inline constexpr time_point never = time_point::max();

/* A reference to a context, which is released when this is destroyed */
class context {
public:
	/* Takes over the reference. */
	explicit context(deadline_context *referenced) noexcept : owned(referenced) {}

	static context background()
	{
		return context(deadline_background());
	}

	context ref() const
	{
		return context(deadline_ref(get()));
	}

	context with_cancel() const
	{
		return make("deadline_with_cancel", deadline_with_cancel);
	}

	context with_deadline(moment when, uintptr_t cause = 0) const
	{
		return make("deadline_with_deadline", [&](auto parent, auto made) {
			return deadline_with_deadline(parent, cause, made, when.ns);
		});
	}

	context with_timeout(span timeout, uintptr_t cause = 0) const
	{
		return make("deadline_with_timeout", [&](auto parent, auto made) {
			return deadline_with_timeout(parent, cause, made, timeout.ns);
		});
	}

	/* Slack of more than UINT32_MAX ns counts as that. */
	context with_slack(moment when, span slack, uintptr_t cause = 0) const
	{
		return make("deadline_with_slack", [&](auto parent, auto made) {
			return deadline_with_slack(parent, cause, made, when.ns,
				slack.ns < UINT32_MAX ? slack.ns : UINT32_MAX);
		});
	}

	context with_value(const void *key, void *value) const
	{
		return make("deadline_with_value", [&](auto parent, auto made) {
			return deadline_with_value(parent, key, value, made);
		});
	}

	context without_cancel() const
	{
		return make("deadline_without_cancel", deadline_without_cancel);
	}

	/* One load; in a hot loop deadline_over(word()), where word() is hoisted */
	bool over() const
	{
		return deadline_over(word());
	}

	const deadline_word *word() const
	{
		return deadline_context_word(get());
	}

	/* Was it this call that ended it? */
	bool cancel(uintptr_t cause = 0) const
	{
		return detail::check(deadline_cancel(get(), cause), "deadline_cancel");
	}

	/* False: it was over already. */
	bool move(moment when) const
	{
		return detail::check(deadline_move(get(), when.ns), "deadline_move");
	}

	/* Converts to false while the context runs. */
	std::error_code err() const
	{
		return { -deadline_err(get()), std::generic_category() };
	}

	uintptr_t cause() const
	{
		return deadline_cause(get());
	}

	time_point when() const
	{
		return time_point(detail::nanoseconds(deadline_when(get())));
	}

	std::chrono::nanoseconds remaining() const
	{
		return detail::nanoseconds(deadline_remaining(get()));
	}

	void *value(const void *key) const
	{
		return deadline_value(get(), key);
	}

	int done_fd() const
	{
		return detail::check(deadline_done_fd(get()), "deadline_done_fd");
	}

	/* Is it over, or did @until come first? */
	bool wait(moment until = never) const
	{
		int ret;

		do {
			ret = deadline_wait(get(), until.ns);
		} while (ret == -EINTR);
		if (ret == -ETIME)
			return false;
		detail::check(ret, "deadline_wait");
		return true;
	}

	void sleep(moment until) const
	{
		detail::check(deadline_sleep(get(), until.ns), "deadline_sleep");
	}

	size_t read(int fd, void *data, size_t size, moment until = never) const
	{
		return detail::check(deadline_read(get(), fd, data, size, until.ns),
				     "deadline_read");
	}

	size_t write(int fd, const void *data, size_t size, moment until = never) const
	{
		return detail::check(deadline_write(get(), fd, data, size, until.ns),
				     "deadline_write");
	}

	size_t recvmsg(int fd, msghdr *msg, int flags, moment until = never) const
	{
		return detail::check(deadline_recvmsg(get(), fd, msg, flags, until.ns),
				     "deadline_recvmsg");
	}

	size_t sendmsg(int fd, const msghdr *msg, int flags, moment until = never) const
	{
		return detail::check(deadline_sendmsg(get(), fd, msg, flags, until.ns),
				     "deadline_sendmsg");
	}

	int accept(int fd, sockaddr *addr, unsigned int *addr_size, int flags,
		   moment until = never) const
	{
		return detail::check(deadline_accept(get(), fd, addr, addr_size, flags,
						     until.ns), "deadline_accept");
	}

	void connect(int fd, const sockaddr *addr, unsigned int addr_size,
		     moment until = never) const
	{
		detail::check(deadline_connect(get(), fd, addr, addr_size, until.ns),
			      "deadline_connect");
	}

	int poll(pollfd *fds, unsigned long n, moment until = never) const
	{
		return detail::check(deadline_poll(get(), fds, n, until.ns),
				     "deadline_poll");
	}

	deadline_context *get() const noexcept
	{
		return owned.get();
	}

private:
	template<class Call>
	context make(const char *name, Call call) const
	{
		deadline_context *made = nullptr;

		detail::check(call(get(), &made), name);
		return context(detail::made(made));
	}

	std::unique_ptr<deadline_context, detail::gives_back<deadline_release>> owned;
};

/*
 * A function that is called once the context is over, unless this was destroyed before.
 * The destructor waits until the function has returned if that has begun, but in the
 * function itself. As with std::stop_callback, an exception out of it ends the program,
 * and this can be neither copied nor moved.
 */
template<class Function>
class after {
public:
	template<class From>
	after(const context &context, From &&from) : function(std::forward<From>(from))
	{
		detail::check(deadline_after(context.get(), call, this, &hook),
			      "deadline_after");
	}

	after(const after &) = delete;
	after &operator=(const after &) = delete;

	~after()
	{
		deadline_hook_stop_wait(hook);
		deadline_hook_free(hook);
	}

	/* True: it will never be called. */
	bool stop()
	{
		return detail::check(deadline_hook_stop(hook), "deadline_hook_stop");
	}

private:
	static void call(void *self) noexcept
	{
		static_cast<after *>(self)->function();
	}

	Function function;
	deadline_hook *hook = nullptr;
};

template<class Function>
after(const context &, Function) -> after<Function>;

#ifdef __cpp_lib_jthread
/* A token that is stopped once the context is over, as late as deadline_after() has it */
class stop_after {
public:
	explicit stop_after(const context &context)
		: hook(context, request{ source }) {}

	std::stop_token get_token() const
	{
		return source.get_token();
	}

private:
	struct request {
		std::stop_source source;

		void operator()()
		{
			source.request_stop();
		}
	};

	std::stop_source source;
	after<request> hook;
};

/* Cancels the context, in the call of request_stop(), once that of the token is made. */
class cancel_at_stop {
public:
	cancel_at_stop(std::stop_token token, const context &context,
		       uintptr_t cause = 0)
		: callback(std::move(token), cancel{ context.ref(), cause }) {}

private:
	struct cancel {
		context which;
		uintptr_t cause;

		void operator()()
		{
			which.cancel(cause);
		}
	};

	std::stop_callback<cancel> callback;
};
#endif

/* A queue, which is closed when this is destroyed, whatever there is of it */
class queue {
public:
	explicit queue(const deadline_options &options = {})
	{
		deadline_queue *opened = nullptr;

		detail::check(deadline_queue_open(&opened, &options),
			      "deadline_queue_open");
		owned.reset(detail::made(opened));
	}

	int fd() const
	{
		return detail::check(deadline_queue_fd(get()), "deadline_queue_fd");
	}

	int backend() const
	{
		return deadline_queue_backend(get());
	}

	bool pending() const
	{
		return deadline_queue_pending(get());
	}

	unsigned int reap(deadline_record *records, unsigned int n) const
	{
		return detail::check(deadline_queue_reap(get(), records, n),
				     "deadline_queue_reap");
	}

	/* Does an expiry wait, or did @until come first? */
	bool wait(moment until = never) const
	{
		int ret;

		do {
			ret = deadline_queue_wait(get(), until.ns);
		} while (ret == -EINTR);
		if (ret == -ETIME)
			return false;
		detail::check(ret, "deadline_queue_wait");
		return true;
	}

	deadline_stats stats() const
	{
		deadline_stats stats;

		detail::check(deadline_queue_stats(get(), &stats),
			      "deadline_queue_stats");
		return stats;
	}

	deadline_queue *get() const noexcept
	{
		return owned.get();
	}

private:
	std::unique_ptr<deadline_queue, detail::gives_back<deadline_queue_destroy>>
		owned;
};

/* A slot, which is cancelled and given back when this is destroyed */
class slot {
public:
	explicit slot(const queue &queue, uint64_t user_data = 0)
	{
		deadline_slot *taken = nullptr;

		detail::check(deadline_slot_alloc(queue.get(), user_data, &taken),
			      "deadline_slot_alloc");
		owned.reset(detail::made(taken));
	}

	void arm(moment when) const
	{
		detail::check(deadline_slot_arm(get(), 0, when.ns),
			      "deadline_slot_arm");
	}

	/* These return false if it was over already. */
	bool move(moment when) const
	{
		return detail::check(deadline_slot_move(get(), when.ns),
				     "deadline_slot_move");
	}

	bool cancel() const
	{
		return detail::check(deadline_slot_cancel(get()),
				     "deadline_slot_cancel");
	}

	bool expire() const
	{
		return detail::check(deadline_slot_expire(get()),
				     "deadline_slot_expire");
	}

	/* More than UINT32_MAX ns counts as that. */
	void set_slack(span slack) const
	{
		detail::check(deadline_slot_set_slack(get(), slack.ns < UINT32_MAX ?
						      slack.ns : UINT32_MAX),
			      "deadline_slot_set_slack");
	}

	void set_period(span period) const
	{
		detail::check(deadline_slot_set_period(get(), period.ns),
			      "deadline_slot_set_period");
	}

	bool over() const
	{
		return deadline_over(word());
	}

	const deadline_word *word() const
	{
		return deadline_slot_word(get());
	}

	deadline_slot *get() const noexcept
	{
		return owned.get();
	}

private:
	std::unique_ptr<deadline_slot, detail::gives_back<deadline_slot_free>> owned;
};

} /* namespace deadline */

#endif
