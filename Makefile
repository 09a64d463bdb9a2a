# SPDX-License-Identifier: GPL-2.0
#
# User space, tests and tools; the module itself is described by Kbuild.
#
#	make			library and programs, below build/
#	make demo		everything, in a guest: see README.md
#	make check		the tests; and what takes hours:
#	make check-kernels	all of them that use the module, on all kernels
#	make check-debug	the same on kernels built to debug
#	make check-long		those that count to millions, to the end
#	make costs		what each operation costs, exactly
#	make bench		every peer, in 15 minutes; bench-quick: in 3
#	make modules		deadline.ko for the kernel in KDIR
#	make modules_install	where modprobe finds it, below INSTALL_MOD_PATH
#	make install		all else, below DESTDIR: to PREFIX the library, the
#				man pages and what loads the module at boot; to
#				SRCDIR the module's sources, for dkms
#	make uninstall

VERSION := 0.1.0
KDIR ?= /lib/modules/$(shell uname -r)/build

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wundef
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(CFLAGS) -Iuapi -Ilib -pthread

lib_objects := $(patsubst lib/%.c,build/obj/lib/%.o,$(wildcard lib/*.c))
lib_static := build/lib/libdeadline.a
lib_shared := build/lib/libdeadline.so

# liburing, where there is one, is a peer in the demo and the costs, and what an
# example stands on. make uring= does without.
uring := $(shell pkg-config --libs liburing 2>/dev/null)
ALL_CFLAGS += -DHAVE_URING=$(if $(uring),1,0)
# State Threads is what another stands on. make st= does without.
st := $(shell pkg-config --libs st 2>/dev/null)

# bpf_timer is a peer where there are libbpf and a compiler of BPF.
bpf := $(if $(shell command -v clang),$(shell pkg-config --libs libbpf 2>/dev/null))
ALL_CFLAGS += -DHAVE_BPF=$(if $(bpf),1,0)

# A program is a directory below tools/ or lib/examples/ with C files in it.
# What tools/bench measures is for several of them.
bench_sources := $(wildcard tools/bench/*.c)
bench_objects := $(bench_sources:%.c=build/obj/%.o)
bench := build/obj/bench.a
program_sources := $(filter-out $(bench_sources) \
	$(if $(uring),,lib/examples/echo-server/%) \
	$(if $(st),,lib/examples/state-threads/%),\
	$(wildcard tools/*/*.c lib/examples/*/*.c))
program_objects := $(program_sources:%.c=build/obj/%.o)
programs := $(addprefix build/bin/,$(sort $(notdir \
	$(patsubst %/,%,$(dir $(program_sources))))))

# Where there is Go, it is a peer in tools/beside and tools/bench.
go := $(shell tools/golang)
go_programs := $(if $(go),$(patsubst \
	tools/go/%/main.go,build/bin/go-%,$(wildcard tools/go/*/main.go)))

bpf_programs := $(if $(bpf),build/bin/bpf-timer.o)

all: $(lib_static) $(lib_shared) $(programs) $(go_programs) $(bpf_programs)

build/obj/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -fno-semantic-interposition -MMD -MP \
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

$(program_objects) $(bench_objects): build/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(bench): $(bench_objects)
	rm -f $@
	$(AR) rcs $@ $^

# Libraries of examples and peers, where they are there; libev has no .pc
other_libs := $(uring) $(st) $(bpf) $(foreach lib,libevent_core libuv,\
	$(shell pkg-config --libs $(lib) 2>/dev/null)) \
	$(if $(wildcard /usr/include/ev.h),-lev)

.SECONDEXPANSION:
$(programs): build/bin/%: $$(filter build/obj/tools/%/$$(percent) build/obj/lib/examples/%/$$(percent),$(program_objects)) $(bench) $(lib_static)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ -Wl,--as-needed $(other_libs)

# To be loaded by who runs beside it
$(bpf_programs): build/bin/bpf-%.o: tools/bench/bpf/%.c tools/bench/bpf/%.h
	@mkdir -p $(@D)
	clang --target=bpf -g -O2 $(WARNINGS) -Wno-missing-prototypes \
		-I/usr/include/$(shell $(CC) -print-multiarch) -c -o $@ $<

# Not a source: kbuild's clean sweeps *.mod off the whole tree.
tools/go/go.mod:
	cd $(@D) && $(go) mod init deadline 2>/dev/null

# Without cgo it needs no library in a guest.
$(go_programs): build/bin/go-%: $(wildcard tools/go/*/*.go) | tools/go/go.mod
	@mkdir -p $(@D)
	cd tools/go && CGO_ENABLED=0 GOCACHE=$(CURDIR)/build/go $(go) build \
		-buildvcs=false -ldflags='-s -w' -o $(CURDIR)/$@ ./$*

# On a fresh Debian machine, as root or with sudo: no other step.
demo: ready
	tools/demo/run

check: ready
	$(MAKE) -s -C selftests
	selftests/run

check-kernels check-debug check-long: ready
	$(MAKE) -s -C selftests
	selftests/run $(@:check-%=%)

costs: ready
	tools/costs/run

bench: ready
	tools/deadline-bench/run

bench-quick: ready
	tools/deadline-bench/run --quick

ready:
	tools/deps
	tools/golang --fetch >/dev/null
	$(MAKE) -s all

# All of user space: what programs are built with, the man pages, what udev and
# systemd read at boot, and the sources from which dkms builds the module for
# each kernel.  A module that is built here has modules_install instead.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
SRCDIR ?= /usr/src
headers := lib/deadline.h lib/deadline_inline.h lib/deadline_uring.h
include := $(DESTDIR)$(PREFIX)/include
libdir := $(DESTDIR)$(LIBDIR)
man := $(DESTDIR)$(PREFIX)/share/man
# Where udev and systemd look, whatever LIBDIR is
rules := $(DESTDIR)$(PREFIX)/lib/udev/rules.d
load := $(DESTDIR)$(PREFIX)/lib/modules-load.d
dkms := $(DESTDIR)$(SRCDIR)/deadline-$(VERSION)

install: all
	install -d $(include)/linux $(libdir)/pkgconfig $(man)/man3 \
		$(man)/man4 $(rules) $(load) $(dkms)/kmod $(dkms)/uapi/linux $(dkms)/LICENSES
	install -m 644 $(headers) $(include)
	install -m 644 uapi/linux/deadline.h $(include)/linux
	install -m 644 $(lib_static) $(lib_shared).0 $(libdir)
	ln -sf libdeadline.so.0 $(libdir)/libdeadline.so
	sed -e 's,@PREFIX@,$(PREFIX),' -e 's,@LIBDIR@,$(LIBDIR),' \
		-e 's,@VERSION@,$(VERSION),' lib/deadline.pc.in \
		> $(libdir)/pkgconfig/deadline.pc
	install -m 644 lib/deadline.3 $(man)/man3
	install -m 644 uapi/deadline.4 $(man)/man4
	install -m 644 kmod/60-deadline.rules $(rules)
	install -m 644 kmod/modules-load.conf $(load)/deadline.conf
	install -m 644 Kbuild $(dkms)
	install -m 644 $(wildcard kmod/*.[ch]) $(dkms)/kmod
	install -m 644 uapi/linux/deadline.h $(dkms)/uapi/linux
	install -m 644 LICENSES/GPL-2.0 LICENSES/Linux-syscall-note \
		$(dkms)/LICENSES
	sed 's,@VERSION@,$(VERSION),' kmod/dkms.conf.in > $(dkms)/dkms.conf

uninstall:
	rm -f $(headers:lib/%=$(include)/%) $(include)/linux/deadline.h
	rm -f $(libdir)/libdeadline.a $(libdir)/libdeadline.so \
		$(libdir)/libdeadline.so.0 $(libdir)/pkgconfig/deadline.pc
	rm -f $(man)/man3/deadline.3 $(man)/man4/deadline.4
	rm -f $(rules)/60-deadline.rules $(load)/deadline.conf
	rm -rf $(dkms)

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

# The headers of a distribution lack the System.map without which kbuild leaves
# depmod out; INSTALL_MOD_PATH is kbuild's DESTDIR.
modules_install:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@
	PATH="$$PATH:/sbin"; release=$$(modinfo -F vermagic deadline.ko) && \
		depmod $(INSTALL_MOD_PATH:%=-b "%") "$${release%% *}"

clean:
	rm -rf build tools/go/go.mod
	test ! -e $(KDIR) || $(MAKE) -C $(KDIR) M=$(CURDIR) clean

-include $(lib_objects:.o=.d) $(program_objects:.o=.d) $(bench_objects:.o=.d)

percent := %

.PHONY: all demo check check-kernels check-debug check-long costs bench bench-quick ready install uninstall modules modules_install clean
