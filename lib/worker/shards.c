// SPDX-License-Identifier: MIT
/*
 * Shards: as many queues as threads that work, each with its own locks, rings and
 * timer; what one thread does to its queue costs the others nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include "queue/queue.h"

/* As many CPUs as Linux can have */
#define MOST 8192

struct deadline_shards {
	unsigned int count;
	struct deadline_queue *queues[];
};

static void close_all(struct deadline_shards *shards)
{
	while (shards->count)
		deadline_queue_close(shards->queues[--shards->count]);
	free(shards);
}

static int open_all(struct deadline_shards *shards,
		    const struct deadline_options *options, unsigned int n)
{
	int ret;

	for (; shards->count < n; shards->count++) {
		ret = deadline_queue_open(&shards->queues[shards->count],
					  options);
		if (ret) {
			close_all(shards);
			return ret;
		}
	}
	return 0;
}

int deadline_shards_open(deadline_shards **ret_shards,
			 const struct deadline_options *options,
			 unsigned int n)
{
	struct deadline_shards *shards;
	int ret, saved = errno;

	if (!n)
		n = deadline_cpus();
	if (n > MOST)
		return -EINVAL;
	preempt_off();
	shards = calloc(1, sizeof(*shards) + n * sizeof(*shards->queues));
	ret = shards ? open_all(shards, options, n) : -ENOMEM;
	if (!ret)
		*ret_shards = shards;
	preempt_on();
	errno = saved;
	return ret;
}

int deadline_shards_close(deadline_shards *shards)
{
	unsigned int i;

	if (!shards)
		return 0;
	for (i = 0; i < shards->count; i++) {
		if (queue_is_busy(shards->queues[i]))
			return -EBUSY;
	}
	preempt_off();
	close_all(shards);
	preempt_on();
	return 0;
}

unsigned int deadline_shards_count(const deadline_shards *shards)
{
	return shards->count;
}

deadline_queue *deadline_shards_queue(const deadline_shards *shards,
				      unsigned int worker)
{
	return worker < shards->count ? shards->queues[worker] : NULL;
}

int deadline_shards_reap(deadline_shards *shards, unsigned int worker,
			 struct deadline_record *records, unsigned int n)
{
	deadline_queue *queue = deadline_shards_queue(shards, worker);
	unsigned int i, done;
	int ret;

	if (!queue)
		return -EINVAL;
	ret = deadline_queue_reap(queue, records, n);
	if (ret < 0)
		return ret;
	done = ret;
	for (i = 1; i < shards->count && done < n; i++) {
		queue = shards->queues[(worker + i) % shards->count];
		/* Two loads; to find it empty by a reap would cost more. */
		if (queue_pending(queue))
			done += deadline_queue_reap(queue, records + done,
						    n - done);
	}
	return done;
}
