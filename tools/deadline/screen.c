// SPDX-License-Identifier: MIT
/*
 * The screen of deadline top, by ncurses: a line on all, the table, and below it the
 * histogram of the queue under the cursor. The cursor stays with its queue, wherever
 * that goes.
 */
#include "top.h"

#if HAVE_NCURSES

#include <curses.h>
#include <stdlib.h>
#include <time.h>

#define TABLE_AT	2	/* lines above the rows */

/**
 * struct view - what of the table is on the screen
 * @queue: under the cursor
 * @pid: its opener, see queues_find()
 * @at: its row
 * @top: the first row that is shown
 * @lines: how many rows have room
 */
struct view {
	uint64_t queue, pid;
	size_t at, top;
	unsigned int lines;
};

static void leave(void)
{
	if (!isendwin())
		endwin();
}

/* Where the queue under the cursor is now; if it is gone, the cursor stays. */
static void follow(struct view *view, const struct top *top)
{
	size_t i;

	for (i = 0; i < top->now.n; i++)
		if (top->rows[i].queue->queue == view->queue &&
		    top->rows[i].queue->pid == view->pid)
			view->at = i;
	if (view->at >= top->now.n)
		view->at = top->now.n ? top->now.n - 1 : 0;
}

/* The cursor is on the screen. */
static void scroll_to(struct view *view)
{
	if (view->at < view->top)
		view->top = view->at;
	if (view->at >= view->top + view->lines)
		view->top = view->at - view->lines + 1;
}

static void draw_summary(const struct top *top)
{
	double expired = 0, rung = 0;
	uint64_t slots = 0;
	size_t i;

	for (i = 0; i < top->now.n; i++) {
		expired += top->rows[i].expired;
		rung += top->rows[i].doorbells;
		slots += top->rows[i].queue->slots;
	}
	mvprintw(0, 0, "%zu queues, %llu slots, %.0f expired/s, %.0f rung/s, by %s%s",
		 top->now.n, (unsigned long long)slots, expired, rung,
		 top_order(top->sort),
		 top->now.hidden ? " (of your own processes)" : "");
}

static void draw_table(const struct view *view, const struct top *top)
{
	char text[1024];
	unsigned int i;
	size_t row;

	row_header(text, sizeof(text));
	attron(A_REVERSE);
	mvprintw(1, 0, " %-*.*s", COLS - 1, COLS - 1, text);
	attroff(A_REVERSE);
	for (i = 0; i < view->lines; i++) {
		row = view->top + i;
		if (row >= top->now.n)
			break;
		row_text(&top->rows[row], text, sizeof(text));
		if (row == view->at)
			attron(A_BOLD);
		mvprintw(TABLE_AT + i, 0, "%c%.*s", row == view->at ? '>' : ' ',
			 COLS - 1, text);
		attroff(A_BOLD);
	}
}

/* The histogram's lines, as many as have room, from line @at on */
static void draw_histogram(const struct queue *queue, int at)
{
	unsigned int i, first, last, width = COLS > 40 ? COLS - 22 : 18;
	char text[1024];

	if (at >= LINES)
		return;
	mvprintw(at++, 0, "Queue %llu: lateness of %llu expiries in interrupts",
		 (unsigned long long)queue->queue,
		 (unsigned long long)late_total(queue->late));
	if (!late_range(queue->late, &first, &last))
		return;
	/* Those of the longest are what one looks for. */
	if (last - first >= (unsigned int)(LINES - at))
		first = last - (LINES - at) + 1;
	for (i = first; i <= last && at < LINES; i++) {
		late_line(queue->late, i, width, text, sizeof(text));
		mvprintw(at++, 0, "%.*s", COLS - 1, text);
	}
}

static void draw(struct view *view, const struct top *top)
{
	int rows = LINES - TABLE_AT;
	int half = rows / 2;

	erase();
	view->lines = rows > 12 ? rows - half : rows;
	if ((size_t)view->lines > top->now.n && rows > 12)
		view->lines = top->now.n;
	if (!view->lines)
		view->lines = 1;
	scroll_to(view);
	draw_summary(top);
	draw_table(view, top);
	if (top->now.n && rows > 12)
		draw_histogram(top->rows[view->at].queue,
			       TABLE_AT + view->lines + 1);
	refresh();
}

static void move_cursor(struct view *view, const struct top *top, long by)
{
	long at = (long)view->at + by, last = (long)top->now.n - 1;

	if (!top->now.n)
		return;
	view->at = at < 0 ? 0 : at > last ? last : at;
	view->queue = top->rows[view->at].queue->queue;
	view->pid = top->rows[view->at].queue->pid;
}

/* False if that was enough */
static bool key(struct view *view, struct top *top, int pressed)
{
	switch (pressed) {
	case 'q':
		return false;
	case KEY_UP:
		move_cursor(view, top, -1);
		break;
	case KEY_DOWN:
		move_cursor(view, top, 1);
		break;
	case KEY_PPAGE:
		move_cursor(view, top, -(long)view->lines);
		break;
	case KEY_NPAGE:
		move_cursor(view, top, view->lines);
		break;
	case KEY_RESIZE:
		/* All of it anew: the terminal may have moved its lines. */
		clear();
		break;
	case 's':
		top->sort++;
		if (!top_order(top->sort))
			top->sort = 0;
		top_sort(top);
		follow(view, top);
		break;
	}
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

int top_screen(struct top *top)
{
	struct view view = { };
	uint64_t next, now;
	int status = top_read(top), pressed;
	bool more = true;

	if (status)
		return status;
	if (!newterm(NULL, stdout, stdin)) {
		complain("TERM '%s': not known; --batch needs none",
			 getenv("TERM") ? getenv("TERM") : "");
		return STATUS_UNAVAILABLE;
	}
	complain_first = leave;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	move_cursor(&view, top, 0);
	/* A first rate soon */
	next = now_ns() + (top->delay < NS_PER_SECOND / 4 ? top->delay :
							    NS_PER_SECOND / 4);
	while (more && !status) {
		draw(&view, top);
		now = now_ns();
		timeout(next <= now ? 0 : next - now < NS_PER_SECOND ?
			(int)((next - now) / 1000000) + 1 : 1000);
		pressed = getch();
		if (pressed != ERR)
			more = key(&view, top, pressed);
		if (now_ns() < next)
			continue;
		status = top_read(top);
		if (!status)
			follow(&view, top);
		next = now_ns() + top->delay;
	}
	leave();
	return status;
}

#else

int top_screen(struct top *top)
{
	(void)top;
	complain("built without ncurses: --batch needs none");
	return STATUS_UNAVAILABLE;
}

#endif
