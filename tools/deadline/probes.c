// SPDX-License-Identifier: MIT
/* The probes in a file: see probes.h. */
#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "probes.h"

#define NOTE_STAPSDT	3

struct file {
	const char *bytes;
	size_t size;
	Elf64_Ehdr header;
};

/* @n bytes at @offset, or NULL if they are not all there */
static const void *part(const struct file *file, uint64_t offset, uint64_t n)
{
	return offset <= file->size && n <= file->size - offset ?
	       file->bytes + offset : NULL;
}

static bool copy(const struct file *file, uint64_t offset, void *to, size_t n)
{
	const void *from = part(file, offset, n);

	if (from)
		memcpy(to, from, n);
	return from;
}

static const char *string_at(const struct file *file, uint64_t offset)
{
	const char *text = part(file, offset, 1);

	return text && memchr(text, 0, file->size - offset) ? text : NULL;
}

static bool section_at(const struct file *file, unsigned int i, Elf64_Shdr *ret)
{
	return i < file->header.e_shnum &&
	       copy(file, file->header.e_shoff + i * sizeof(*ret), ret, sizeof(*ret));
}

static bool find_section(const struct file *file, const char *name, Elf64_Shdr *ret)
{
	Elf64_Shdr names;
	const char *text;
	unsigned int i;

	if (!section_at(file, file->header.e_shstrndx, &names))
		return false;
	for (i = 0; section_at(file, i, ret); i++) {
		text = string_at(file, names.sh_offset + ret->sh_name);
		if (text && !strcmp(text, name))
			return true;
	}
	return false;
}

/* Where in the file is what is loaded at @address? UINT64_MAX if nowhere */
static uint64_t offset_of(const struct file *file, uint64_t address)
{
	Elf64_Phdr segment;
	unsigned int i;

	for (i = 0; i < file->header.e_phnum; i++)
		if (copy(file, file->header.e_phoff + i * sizeof(segment), &segment,
			 sizeof(segment)) &&
		    segment.p_type == PT_LOAD &&
		    address - segment.p_vaddr < segment.p_filesz)
			return address - segment.p_vaddr + segment.p_offset;
	return UINT64_MAX;
}

/* A note: three addresses, then three strings: provider, name, arguments */
struct note {
	uint64_t address;
	uint64_t base;
	uint64_t semaphore;
};

static const char *next_string(const char **at, const char *end)
{
	const char *text = *at, *zero = memchr(text, 0, end - text);

	*at = zero ? zero + 1 : end;
	return zero ? text : "";
}

static void take_note(const struct file *file, const char *at, const char *end,
		      uint64_t moved,
		      void (*take)(const char *, uint64_t, const char *, void *),
		      void *arg)
{
	const char *provider, *name, *args;
	struct note note;
	uint64_t offset;

	if ((size_t)(end - at) < sizeof(note))
		return;
	memcpy(&note, at, sizeof(note));
	at += sizeof(note);
	provider = next_string(&at, end);
	name = next_string(&at, end);
	args = next_string(&at, end);
	/* prelink may have moved the file since: by as much as the base section. */
	offset = offset_of(file, note.address + (moved ? moved - note.base : 0));
	if (!strcmp(provider, "deadline") && offset != UINT64_MAX)
		take(name, offset, args, arg);
}

void probes_find(const void *bytes, size_t size,
		 void (*take)(const char *, uint64_t, const char *, void *), void *arg)
{
	struct file file = { .bytes = bytes, .size = size };
	const Elf64_Ehdr *header = &file.header;
	Elf64_Shdr notes, base;
	const char *at, *end;
	Elf64_Nhdr note;

	if (!copy(&file, 0, &file.header, sizeof(file.header)) ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_shentsize != sizeof(Elf64_Shdr) ||
	    header->e_phentsize != sizeof(Elf64_Phdr) ||
	    !find_section(&file, ".note.stapsdt", &notes))
		return;
	if (!find_section(&file, ".stapsdt.base", &base))
		base.sh_addr = 0;
	at = part(&file, notes.sh_offset, notes.sh_size);
	if (!at)
		return;
	end = at + notes.sh_size;
	while ((size_t)(end - at) >= sizeof(note)) {
		size_t name, text;

		memcpy(&note, at, sizeof(note));
		at += sizeof(note);
		name = (note.n_namesz + 3ul) & ~3ul;
		text = (note.n_descsz + 3ul) & ~3ul;
		if (name > (size_t)(end - at) || text > (size_t)(end - at) - name)
			return;
		if (note.n_type == NOTE_STAPSDT)
			take_note(&file, at + name, at + name + note.n_descsz,
				  base.sh_addr, take, arg);
		at += name + text;
	}
}

/* "%rbx" is "%bx" there; r8 to r15 keep their names. -1: none of that */
static int fetch_register(const char **at, char *text, size_t size)
{
	const char *name = *at;
	size_t n;

	if (*name++ != '%')
		return -1;
	n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
	if (!n || n > 4 || *name != 'r')
		return -1;
	*at = name + n;
	if (name[1] < '0' || name[1] > '9') {
		name++;
		n--;
	}
	snprintf(text, size, "%%%.*s", (int)n, name);
	return 0;
}

/* "8@%rbx", "8@16(%rbp)", "8@$5" */
static int fetch_one(const char **at, unsigned int number, char *text, size_t size)
{
	long offset = 0;
	char name[8];
	char *end;

	if (strncmp(*at, "8@", 2))
		return -1;
	*at += 2;
	if (**at == '$') {
		offset = strtol(*at + 1, &end, 0);
		*at = end;
		snprintf(text, size, " a%u=\\%ld:u64", number, offset);
		return 0;
	}
	if (**at == '%') {
		if (fetch_register(at, name, sizeof(name)))
			return -1;
		snprintf(text, size, " a%u=%s:u64", number, name);
		return 0;
	}
	if (**at != '(') {
		offset = strtol(*at, &end, 0);
		if (end == *at)
			return -1;
		*at = end;
	}
	if (*(*at)++ != '(' || fetch_register(at, name, sizeof(name)) || *(*at)++ != ')')
		return -1;
	snprintf(text, size, " a%u=%+ld(%s):u64", number, offset, name);
	return 0;
}

int probes_fetch(const char *args, char *text, size_t size)
{
	unsigned int number;

	*text = 0;
	for (number = 0; *args; number++) {
		size_t used = strlen(text);

		if (number && *args++ != ' ')
			return -1;
		if (size - used < 48 ||
		    fetch_one(&args, number, text + used, size - used))
			return -1;
	}
	return 0;
}
