// SPDX-License-Identifier: MIT
/* The picture of deadline why: see picture.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "picture.h"
#include "row.h"
#include "tool.h"

#define SHOWN	8		/* observations */
#define WIDTH	1000		/* of all, in pixels; of a line of time: */
#define LEFT	20
#define LINE	(WIDTH - 2 * LEFT)
#define HEIGHT	150		/* of an observation */
#define BAR	34
#define TEXTS	4		/* of its parts that are told in words */
#define NARROW	0.5		/* narrower ones are not drawn by themselves */

static const char *const colours[CAUSES] = {
	[CAUSE_SLACK] = "#d9d9d9",
	[CAUSE_THROTTLED] = "#8c564b",
	[CAUSE_PASSED] = "#c49c94",
	[CAUSE_BURST] = "#e377c2",
	[CAUSE_DEFERRED] = "#f7b6d2",
	[CAUSE_IRQS_OFF] = "#d62728",
	[CAUSE_STOPPED] = "#ff9896",
	[CAUSE_STOLEN] = "#ffbb78",
	[CAUSE_IDLE] = "#c7e9c0",
	[CAUSE_INTERRUPT] = "#ff7f0e",
	[CAUSE_SOFT] = "#fdbf6f",
	[CAUSE_QUOTA] = "#9467bd",
	[CAUSE_OTHERS] = "#1f77b4",
	[CAUSE_BLOCKED] = "#bcbd22",
	[CAUSE_WAKING] = "#17becf",
	[CAUSE_ITSELF] = "#2ca02c",
	[CAUSE_UNKNOWN] = "#ffffff",
};

/**
 * struct shown - an observation that is drawn
 * @late: how late
 * @title: what it is
 * @parts: of it, each with its @texts
 */
struct shown {
	uint64_t late;
	uint64_t at;
	char title[200];
	struct parts *parts;
	char (*texts)[160];
};

struct picture {
	struct shown shown[SHOWN];
	unsigned int n;
};

struct picture *picture_new(void)
{
	return calloc(1, sizeof(struct picture));
}

static void drop(struct shown *shown)
{
	free(shown->parts);
	free(shown->texts);
	memset(shown, 0, sizeof(*shown));
}

void picture_free(struct picture *picture)
{
	while (picture && picture->n)
		drop(&picture->shown[--picture->n]);
	free(picture);
}

/* The place for one that is so late, or NULL: the latest come first. */
static struct shown *place(struct picture *picture, uint64_t late)
{
	unsigned int i = picture->n;

	if (i == SHOWN) {
		if (picture->shown[SHOWN - 1].late >= late)
			return NULL;
		drop(&picture->shown[--i]);
	} else {
		picture->n++;
	}
	for (; i && picture->shown[i - 1].late < late; i--)
		picture->shown[i] = picture->shown[i - 1];
	memset(&picture->shown[i], 0, sizeof(picture->shown[i]));
	return &picture->shown[i];
}

void picture_add(struct picture *picture, const struct history *history,
		 const struct expiry *x, const struct parts *parts)
{
	struct shown *shown = place(picture, x->seen - x->due);
	size_t i;

	if (!shown)
		return;
	shown->late = x->seen - x->due;
	shown->at = x->at;
	snprintf(shown->title, sizeof(shown->title),
		 "queue %u of %s (%u), slot %u, deadline %.6f s, observed by %s (%u)",
		 x->queue, history_name(history, x->owner), x->owner, x->slot,
		 x->due / 1e9, history_name(history, x->thread), x->thread);
	shown->parts = malloc(sizeof(*parts));
	shown->texts = malloc((parts->n + 1) * sizeof(*shown->texts));
	if (!shown->parts || !shown->texts) {
		complain("no memory");
		exit(STATUS_UNAVAILABLE);
	}
	*shown->parts = *parts;
	for (i = 0; i < parts->n; i++)
		cause_text(history, x, &parts->part[i], shown->texts[i],
			   sizeof(shown->texts[i]));
}

static void put_text(FILE *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		default:
			fputc(*text, to);
		}
	}
}

static double place_of(const struct shown *shown, uint64_t time)
{
	return LEFT + (double)LINE * (time - shown->parts->part[0].from) / shown->late;
}

static void draw_bar(FILE *to, const struct shown *shown, size_t i, double y)
{
	const struct part *part = &shown->parts->part[i];
	double x = place_of(shown, part->from);
	double width = place_of(shown, part->to) - x;
	char took[8];

	if (width < NARROW && shown->parts->n > 50)
		return;
	fprintf(to, "<rect x='%.2f' y='%.1f' width='%.2f' height='%d' fill='%s'><title>", x,
		y, width, BAR, colours[part->cause]);
	fprintf(to, "%s: ", short_time(part->to - part->from, took));
	put_text(to, shown->texts[i]);
	fputs("</title></rect>\n", to);
}

/* Is it told already, as what part @i says is what an earlier one says? */
static bool told(const struct shown *shown, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (!strcmp(shown->texts[k], shown->texts[i]))
			return true;
	return false;
}

static uint64_t time_of(const struct shown *shown, const char *text)
{
	uint64_t ns = 0;
	size_t i;

	for (i = 0; i < shown->parts->n; i++)
		if (!strcmp(shown->texts[i], text))
			ns += shown->parts->part[i].to - shown->parts->part[i].from;
	return ns;
}

/* The causes in words, one below the other, from the one of most time on */
static void draw_texts(FILE *to, const struct shown *shown, double y)
{
	uint64_t most, ns, last = UINT64_MAX;
	unsigned int row;
	size_t i, best;
	char took[8];

	for (row = 0; row < TEXTS; row++, last = most) {
		most = 0;
		best = 0;
		for (i = 0; i < shown->parts->n; i++) {
			ns = told(shown, i) ? 0 : time_of(shown, shown->texts[i]);
			if (ns < last && ns > most) {
				most = ns;
				best = i;
			}
		}
		if (!most)
			return;
		fprintf(to, "<rect x='%d' y='%.1f' width='9' height='9' fill='%s' stroke='#888'/>",
			LEFT, y - 8, colours[shown->parts->part[best].cause]);
		fprintf(to, "<text x='%d' y='%.1f'>%s: ", LEFT + 14, y,
			short_time(most, took));
		put_text(to, shown->texts[best]);
		fputs("</text>\n", to);
		y += 15;
	}
}

static void draw(FILE *to, const struct shown *shown, double y)
{
	double expired = place_of(shown, shown->at);
	char late[8];
	size_t i;

	fprintf(to, "<text x='%d' y='%.1f' font-weight='bold'>%s late: ", LEFT, y + 14,
		short_time(shown->late, late));
	put_text(to, shown->title);
	fputs("</text>\n", to);
	for (i = 0; i < shown->parts->n; i++)
		draw_bar(to, shown, i, y + 22);
	fprintf(to, "<rect x='%d' y='%.1f' width='%d' height='%d' fill='none' stroke='#444'/>\n",
		LEFT, y + 22, LINE, BAR);
	fprintf(to, "<path d='M%.2f %.1fv%d' stroke='#000' stroke-width='2'/>\n", expired,
		y + 18, BAR + 8);
	fprintf(to, "<text x='%.2f' y='%.1f' text-anchor='%s'>word over</text>\n", expired,
		y + 22 + BAR + 15, 2 * expired < WIDTH ? "start" : "end");
	draw_texts(to, shown, y + 22 + BAR + 32);
}

bool picture_write(const struct picture *picture, const char *path)
{
	FILE *to = fopen(path, "we");
	unsigned int i;

	if (!to) {
		complain("%s: %s", path, strerror(errno));
		return false;
	}
	fprintf(to, "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' font-size='11'>\n",
		WIDTH, (int)picture->n * HEIGHT + 30);
	fputs("<rect width='100%' height='100%' fill='#fff'/>\n", to);
	if (!picture->n)
		fprintf(to, "<text x='%d' y='20'>Nothing was late.</text>\n", LEFT);
	for (i = 0; i < picture->n; i++)
		draw(to, &picture->shown[i], 10 + i * HEIGHT);
	fputs("</svg>\n", to);
	if (!fclose(to))
		return true;
	complain("%s: %s", path, strerror(errno));
	return false;
}
