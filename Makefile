# SPDX-License-Identifier: GPL-2.0
#
# User space, tests and tools; the module itself is described by Kbuild.
#
#	make			library and programs, below build/: wants a C compiler;
#				liburing, libst, libbpf and Go are used if they are there
#
# In a virtual machine; these install the Debian packages that they lack:
#	make demo		how late a task sees its deadline: see README.md
#	make check		the tests, in 35 minutes
#	make check-kernels	those that use the module, on all kernels: an hour
#	make check-debug	the same on kernels built to debug: an hour
#	make check-long		those that count to millions: hours
#	make costs		what each operation costs, in instructions
#	make bench		the same of all alternatives, in 15 minutes
#	make bench-quick	fewer rounds of it, in 3
#
#	make modules		deadline.ko for the kernel in KDIR
#	make modules_install	puts it where modprobe finds it, below INSTALL_MOD_PATH
#	make install		everything but the module, below DESTDIR. Each of its parts
#				builds only what it installs:
#	make install-lib	to LIBDIR the library, shared and static
#	make install-dev	to PREFIX what programs are built with: the headers, the
#				file for pkg-config, the declarations for other languages
#	make install-dkms	to SRCDIR the module's sources, for dkms; to PREFIX udev's
#				rule, and what loads the module at boot
#	make install-tools	to PREFIX the program deadline, with what systemd,
#				Prometheus and Grafana read
#	make install-doc	to PREFIX the manuals
#	make uninstall		removes what install has put there
#
#	make deb		Debian's packages, below build/deb
#	make dist		a tarball of the last commit, below build/dist
#	make sbom		what is in that, under which licences, as SPDX lists it

VERSION := 0.1.0
KDIR ?= /lib/modules/$(shell uname -r)/build

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wundef
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -Iuapi -Ilib -pthread

# Each folder of the library is a layer, which calls only those before it.
lib_layers := base queue context worker
lib_sources := $(foreach layer,$(lib_layers),$(wildcard lib/$(layer)/*.c))
lib_objects := $(lib_sources:%.c=build/obj/%.o)
lib_static := build/lib/libdeadline.a
# One object of all, in which only what the map names is global
lib_whole := build/obj/libdeadline.o
OBJCOPY ?= $(shell $(CC) -print-prog-name=objcopy)
lib_shared := build/lib/libdeadline.so

# liburing, where there is one, is a peer in the demo and the costs, and what an
# example stands on. make uring= does without.
uring := $(shell pkg-config --libs liburing 2>/dev/null)
ALL_CFLAGS += -DHAVE_URING=$(if $(uring),1,0)
# State Threads is what another stands on. make st= does without.
st := $(shell pkg-config --libs st 2>/dev/null)

# deadline(1) traces by libtracefs; without it it reads files only.
tracefs := $(shell pkg-config --libs libtracefs 2>/dev/null)
build/obj/tools/deadline/%.o: ALL_CFLAGS += -DHAVE_TRACEFS=$(if $(tracefs),1,0) \
	$(shell pkg-config --cflags libtracefs 2>/dev/null)

# bpf_timer is a peer where there are libbpf and a compiler of BPF.
bpf := $(if $(shell command -v clang),$(shell pkg-config --libs libbpf 2>/dev/null))
ALL_CFLAGS += -DHAVE_BPF=$(if $(bpf),1,0)

# What deadline top has a screen by. make ncurses= does without.
ncurses := $(shell pkg-config --libs ncursesw 2>/dev/null)
ALL_CFLAGS += -DHAVE_NCURSES=$(if $(ncurses),1,0)

# A program is a directory below tools/, tools/bench/ or lib/examples/ with C files
# in it, but lib/examples/embedded/, whose files are programs that the tests build. The
# peers and the scenarios of tools/bench are for several of them.
bench_sources := $(wildcard tools/bench/peers/*.c tools/bench/scenarios/*.c)
bench_objects := $(bench_sources:%.c=build/obj/%.o)
bench := build/obj/bench.a
program_sources := $(filter-out $(bench_sources) lib/examples/embedded/% \
	$(if $(uring),,lib/examples/echo-server/%) \
	$(if $(st),,lib/examples/state-threads/%),\
	$(wildcard tools/*/*.c tools/bench/*/*.c lib/examples/*/*.c))
program_objects := $(program_sources:%.c=build/obj/%.o)
programs := $(addprefix build/bin/,$(sort $(notdir \
	$(patsubst %/,%,$(dir $(program_sources))))))

# Where there is Go, it is a peer in tools/bench.
go := $(shell tools/setup/golang)
go_programs := $(if $(go),$(patsubst \
	tools/bench/go/%/main.go,build/bin/go-%,$(wildcard tools/bench/go/*/main.go)))

bpf_programs := $(if $(bpf),build/bin/bpf-timer.o)

# The manual pages of functions are made of the header's text; and what parsers of C in
# other languages read.
pages := build/man/made
cdef := build/deadline.cdef

all: $(pages) $(cdef) $(lib_static) $(lib_shared) $(programs) $(go_programs) $(bpf_programs)

$(pages): lib/deadline.h tools/man/pages
	rm -rf $(@D)
	tools/man/pages $(@D)
	@touch $@

$(cdef): lib/deadline.h tools/bindings/cdef
	@mkdir -p $(@D)
	tools/bindings/cdef > $@

# Not for the linker to optimise: objcopy cannot make its intermediate code local.
$(lib_objects): build/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fno-lto -fPIC -fno-semantic-interposition -fexceptions -MMD -MP \
		-DDEADLINE_VERSION='"$(VERSION)"' -c -o $@ $<

# A program may have functions of its own by the names of those that are not in the
# map.  The machine's options (-m32, --target=) matter to the linker as well; without
# groups, what the compiler adds to each object (as i386's thunks) can be local too.
$(lib_whole): $(lib_objects) lib/deadline.map
	$(CC) $(filter -m% --target=%,$(CFLAGS)) -nostdlib -r \
		-Wl,--force-group-allocation -o $@.global $(lib_objects)
	sed -n 's/^\t\(deadline_.*\);$$/\1/p' lib/deadline.map > $@.names
	$(OBJCOPY) --keep-global-symbols=$@.names $@.global $@

$(lib_static): $(lib_whole)
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

# Its threads and keys outlive a dlclose(), so it stays loaded: nodelete. Functions of
# others are bound when it is loaded, not within the first call's time: now.
$(lib_shared).0: $(lib_objects) lib/deadline.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -Wl,-z,defs,-z,nodelete,-z,now \
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
other_libs := $(uring) $(st) $(bpf) $(ncurses) $(tracefs) $(foreach lib,libevent_core libuv,\
	$(shell pkg-config --libs $(lib) 2>/dev/null)) \
	$(if $(wildcard /usr/include/ev.h),-lev)

.SECONDEXPANSION:
$(programs): build/bin/%: $$(filter build/obj/tools/%/$$(percent) build/obj/tools/bench/%/$$(percent) build/obj/lib/examples/%/$$(percent),$(program_objects)) $$(if $$(filter build/obj/tools/bench/%/$$(percent),$(program_objects)),$(bench)) $(lib_static)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -pthread -Wl,-z,now -o $@ $^ -Wl,--as-needed $(other_libs)

# To be loaded by who runs beside it
$(bpf_programs): build/bin/bpf-%.o: tools/bench/peers/bpf/%.c tools/bench/peers/bpf/%.h
	@mkdir -p $(@D)
	clang --target=bpf -g -O2 $(WARNINGS) -Wno-missing-prototypes \
		-I/usr/include/$(shell $(CC) -print-multiarch) -c -o $@ $<

# Without cgo it needs no library in a guest.
$(go_programs): build/bin/go-%: $(wildcard tools/bench/go/*/*.go lib/go/*.go)
	@mkdir -p $(@D)
	cd tools/bench/go && CGO_ENABLED=0 GOCACHE=$(CURDIR)/build/go $(go) build \
		-buildvcs=false -ldflags='-s -w' -o $(CURDIR)/$@ ./$*

# On a fresh Debian machine, as root or with sudo: no other step.
demo: ready
	tools/bench/demo/run

check: ready
	$(MAKE) -s -C selftests
	selftests/run

check-kernels check-debug check-long: ready
	$(MAKE) -s -C selftests
	selftests/run $(@:check-%=%)

costs: ready
	tools/bench/costs/run

bench: ready
	tools/bench/deadline-bench/run

bench-quick: ready
	tools/bench/deadline-bench/run --quick

ready:
	tools/setup/deps
	tools/setup/golang --fetch >/dev/null
	$(MAKE) -s all

# What dkms builds the module from is for each kernel; a module that is built here
# has modules_install instead.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
SRCDIR ?= /usr/src
headers := lib/deadline.h lib/deadline.hpp lib/deadline_inline.h lib/deadline_uring.h
include := $(DESTDIR)$(PREFIX)/include
libdir := $(DESTDIR)$(LIBDIR)
man := $(DESTDIR)$(PREFIX)/share/man
doc := $(DESTDIR)$(PREFIX)/share/doc/deadline
bindir := $(DESTDIR)$(PREFIX)/bin
share := $(DESTDIR)$(PREFIX)/share/deadline
completions := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
# Where udev and systemd look, whatever LIBDIR is
units := $(DESTDIR)$(PREFIX)/lib/systemd/system
rules := $(DESTDIR)$(PREFIX)/lib/udev/rules.d
load := $(DESTDIR)$(PREFIX)/lib/modules-load.d
dkms := $(DESTDIR)$(SRCDIR)/deadline-$(VERSION)
monitoring := tools/deadline/monitoring

install: install-lib install-dev install-dkms install-tools install-doc

install-lib: $(lib_static) $(lib_shared).0
	install -d $(libdir)
	install -m 644 $^ $(libdir)

install-dev: $(cdef)
	install -d $(include)/linux $(libdir)/pkgconfig $(share)
	install -m 644 $(headers) $(include)
	install -m 644 uapi/linux/deadline.h $(include)/linux
	ln -sf libdeadline.so.0 $(libdir)/libdeadline.so
	sed -e 's,@PREFIX@,$(PREFIX),' -e 's,@LIBDIR@,$(LIBDIR),' \
		-e 's,@VERSION@,$(VERSION),' lib/deadline.pc.in \
		> $(libdir)/pkgconfig/deadline.pc
	install -m 644 $(cdef) $(share)

install-dkms:
	install -d $(rules) $(load) $(dkms)/kmod $(dkms)/uapi/linux $(dkms)/LICENSES
	install -m 644 kmod/60-deadline.rules $(rules)
	install -m 644 kmod/modules-load.conf $(load)/deadline.conf
	install -m 644 Kbuild $(dkms)
	install -m 644 $(wildcard kmod/*.[ch]) $(dkms)/kmod
	install -m 644 uapi/linux/deadline.h $(dkms)/uapi/linux
	install -m 644 LICENSES/GPL-2.0 LICENSES/Linux-syscall-note \
		$(dkms)/LICENSES
	sed 's,@VERSION@,$(VERSION),' kmod/dkms.conf.in > $(dkms)/dkms.conf

install-tools: build/bin/deadline
	install -d $(bindir) $(completions) $(share)/bpftrace $(share)/containers $(units)
	install build/bin/deadline $(bindir)
	install -m 644 tools/deadline/deadline.bash $(completions)/deadline
	install -m 644 $(monitoring)/alerts.yml $(monitoring)/dashboard.json $(share)
	install tools/deadline/bpftrace/*.bt $(share)/bpftrace
	install -m 644 tools/deadline/containers/* $(share)/containers
	install -m 644 $(monitoring)/deadline-metrics.socket $(units)
	sed 's,@PREFIX@,$(PREFIX),' $(monitoring)/deadline-metrics@.service.in \
		> $(units)/deadline-metrics@.service

install-doc: $(pages)
	install -d $(man)/man1 $(man)/man3 $(man)/man4 $(man)/man7 $(doc)
	install -m 644 tools/deadline/deadline.1 $(man)/man1
	install -m 644 lib/deadline.3 build/man/*.3 $(man)/man3
	install -m 644 uapi/deadline.4 $(man)/man4
	install -m 644 lib/deadline-recipes.7 build/man/*.7 $(man)/man7
	install -m 644 uapi/deadline.rst $(doc)

uninstall:
	rm -f $(headers:lib/%=$(include)/%) $(include)/linux/deadline.h
	rm -f $(libdir)/libdeadline.a $(libdir)/libdeadline.so \
		$(libdir)/libdeadline.so.0 $(libdir)/pkgconfig/deadline.pc
	rm -f $(man)/man1/deadline.1 $(man)/man3/deadline.3 $(man)/man3/deadline_*.3 \
		$(man)/man4/deadline.4 $(man)/man7/deadline-*.7
	rm -f $(bindir)/deadline $(completions)/deadline
	rm -f $(units)/deadline-metrics.socket $(units)/deadline-metrics@.service
	rm -f $(doc)/deadline.rst
	rm -f $(rules)/60-deadline.rules $(load)/deadline.conf
	rm -rf $(dkms) $(share)

deb dist sbom:
	tools/package/$@ $(VERSION)

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

# The headers of a distribution lack the System.map without which kbuild leaves
# depmod out; INSTALL_MOD_PATH is kbuild's DESTDIR.
modules_install:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@
	PATH="$$PATH:/sbin"; release=$$(modinfo -F vermagic deadline.ko) && \
		depmod $(INSTALL_MOD_PATH:%=-b "%") "$${release%% *}"

# Kbuild sweeps *.mod off the whole tree but for directories of version control. Those
# named go, with the go.mod that makes them modules, count as such.
clean:
	rm -rf build
	test ! -e $(KDIR) || $(MAKE) -C $(KDIR) M=$(CURDIR) \
		RCS_FIND_IGNORE='\( -name .git -o -name go \) -prune -o' clean

-include $(lib_objects:.o=.d) $(program_objects:.o=.d) $(bench_objects:.o=.d)

percent := %

.PHONY: all demo check check-kernels check-debug check-long costs bench bench-quick ready \
	install install-lib install-dev install-dkms install-tools install-doc uninstall \
	deb dist sbom modules modules_install clean
