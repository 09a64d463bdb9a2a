// SPDX-License-Identifier: MIT
/*
 * Timers of BPF, which set words in a map that a program has mapped: for
 * tools/bench/peers/peer_bpf.c.
 */
#include <linux/bpf.h>
#include <linux/time.h>
#include <bpf/bpf_helpers.h>
#include "timer.h"

struct element {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct element);
} timers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} words SEC(".maps");

static int expire(void *unused, __u32 *at, struct element *element)
{
	__u64 *word = bpf_map_lookup_elem(&words, at);

	(void)unused;
	(void)element;
	if (word)
		*word = 1;
	return 0;
}

SEC("syscall")
int init(struct timer_request *request)
{
	__u32 at = request->at;
	struct element *element = bpf_map_lookup_elem(&timers, &at);

	return !element ||
	       bpf_timer_init(&element->timer, &timers, CLOCK_MONOTONIC);
}

static int start(struct element *element, __u64 when)
{
	__u64 now = bpf_ktime_get_ns();

	return bpf_timer_start(&element->timer, when > now ? when - now : 0, 0);
}

/* A cancel takes the callback away. */
SEC("syscall")
int arm(struct timer_request *request)
{
	__u32 at = request->at;
	struct element *element = bpf_map_lookup_elem(&timers, &at);

	if (!element || bpf_timer_set_callback(&element->timer, expire))
		return 1;
	return start(element, request->when);
}

SEC("syscall")
int move(struct timer_request *request)
{
	__u32 at = request->at;
	struct element *element = bpf_map_lookup_elem(&timers, &at);

	return !element || start(element, request->when);
}

SEC("syscall")
int cancel(struct timer_request *request)
{
	__u32 at = request->at;
	struct element *element = bpf_map_lookup_elem(&timers, &at);

	return !element || bpf_timer_cancel(&element->timer) < 0;
}

char licence[] SEC("license") = "Dual MIT/GPL";
