# SPDX-License-Identifier: GPL-2.0
#
# User space, tests and tools; the module itself is described by Kbuild.
#
#	make			library and programs, below build/
#	make demo		everything, in a guest: see README.md
#	make check		all tests
#	make costs		what each operation costs, exactly
#	make modules		deadline.ko for the kernel in KDIR
#	make modules_install
#	make install		library and headers, below DESTDIR and PREFIX
#	make uninstall

VERSION := 0.1.0
KDIR ?= /lib/modules/$(shell uname -r)/build

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wundef
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(CFLAGS) -Iuapi -Ilib -pthread

lib_objects := $(patsubst lib/%.c,build/obj/lib/%.o,$(wildcard lib/*.c))
lib_static := build/lib/libdeadline.a
lib_shared := build/lib/libdeadline.so

# A tool is a directory below tools/ with C files in it.
tools := $(sort $(patsubst tools/%/,%,$(dir $(wildcard tools/*/*.c))))
tool_objects := $(patsubst %.c,build/obj/%.o,$(wildcard tools/*/*.c))
programs := $(tools:%=build/bin/%)

all: $(lib_static) $(lib_shared) $(programs)

build/obj/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=default -MMD -MP \
		-DDEADLINE_VERSION='"$(VERSION)"' -c -o $@ $<

$(lib_static): $(lib_objects)
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

$(lib_shared).0: $(lib_objects) lib/deadline.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -Wl,-z,defs \
		-Wl,-soname,libdeadline.so.0 \
		-Wl,--version-script,lib/deadline.map -o $@ $(lib_objects)

$(lib_shared): $(lib_shared).0
	ln -sf $(notdir $<) $@

build/obj/tools/%.o: tools/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# liburing, where there is one, is a peer in the demo.
uring := $(shell pkg-config --libs liburing 2>/dev/null)

.SECONDEXPANSION:
$(programs): build/bin/%: $$(filter build/obj/tools/%/$$(percent),$(tool_objects)) $(lib_static)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ -Wl,--as-needed $(uring)

# On a fresh Debian machine, as root or with sudo: no other step.
demo: ready
	tools/demo/run

check: ready
	$(MAKE) -s -C selftests
	selftests/run

costs: ready
	tools/costs/run

ready:
	tools/deps
	$(MAKE) -s all

# What programs need to be built with the library; the module has its own
# modules_install.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
installed_headers := deadline.h deadline_inline.h linux/deadline.h
installed_libraries := libdeadline.a libdeadline.so libdeadline.so.0

install: all
	install -d $(DESTDIR)$(PREFIX)/include/linux \
		$(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 lib/deadline.h lib/deadline_inline.h \
		$(DESTDIR)$(PREFIX)/include
	install -m 644 uapi/linux/deadline.h $(DESTDIR)$(PREFIX)/include/linux
	install -m 644 $(lib_static) $(lib_shared).0 $(DESTDIR)$(LIBDIR)
	ln -sf libdeadline.so.0 $(DESTDIR)$(LIBDIR)/libdeadline.so
	sed -e 's,@PREFIX@,$(PREFIX),' -e 's,@LIBDIR@,$(LIBDIR),' \
		-e 's,@VERSION@,$(VERSION),' lib/deadline.pc.in \
		> $(DESTDIR)$(LIBDIR)/pkgconfig/deadline.pc

uninstall:
	rm -f $(installed_headers:%=$(DESTDIR)$(PREFIX)/include/%) \
		$(installed_libraries:%=$(DESTDIR)$(LIBDIR)/%) \
		$(DESTDIR)$(LIBDIR)/pkgconfig/deadline.pc

modules modules_install:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

clean:
	rm -rf build
	test ! -e $(KDIR) || $(MAKE) -C $(KDIR) M=$(CURDIR) clean

-include $(lib_objects:.o=.d) $(tool_objects:.o=.d)

percent := %

.PHONY: all demo check costs ready install uninstall modules modules_install clean
