# berth - one non-recursive Makefile. `make help` lists the targets.
#
#   MODE=debug|release|asan|ubsan|coverage   where: build/MODE-ARCH/
#   CC=gcc|clang  CROSS_COMPILE=aarch64-linux-gnu-  HOSTCC=cc  PKG_CONFIG=…
#   LIBARCHIVE=static|shared                 how berth-worker has it; static where there is libarchive.a
#   SYSROOT=DIR                              the target's headers and libraries: tests/lib/sysroot.sh
#   DESTDIR= PREFIX=/usr/local               for install
#   BERTH_NO_INSTALL=1                       never install packages

MODE   ?= release
PREFIX ?= /usr/local
HOSTCC ?= cc
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
ifneq ($(SYSROOT),)
sysroot    := $(abspath $(SYSROOT))
multiarch  := $(CROSS_COMPILE:-=)
# clang for arm64 may not know -fstack-clash-protection.
override CC := $(CC) $(if $(findstring clang,$(CC)),--target=$(multiarch) -Wno-unused-command-line-argument) --sysroot=$(sysroot)
PKG_CONFIG ?= PKG_CONFIG_SYSROOT_DIR=$(sysroot) PKG_CONFIG_PATH= \
	PKG_CONFIG_LIBDIR=$(sysroot)/usr/lib/$(multiarch)/pkgconfig:$(sysroot)/usr/share/pkgconfig pkg-config
else ifneq ($(CROSS_COMPILE),)
PKG_CONFIG ?= $(CROSS_COMPILE)pkg-config
endif
PKG_CONFIG ?= pkg-config
OBJCOPY    ?= $(CROSS_COMPILE)objcopy
STRIP      ?= $(CROSS_COMPILE)strip

ifeq ($(filter $(MODE),debug release asan ubsan coverage),)
$(error MODE=$(MODE): use debug, release, asan, ubsan or coverage)
endif

O := build/$(MODE)$(if $(CROSS_COMPILE),-$(CROSS_COMPILE:-=))
VERSION := 0.1.0

# ---- flags --------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wswitch-enum -Wwrite-strings -Wundef -Wpointer-arith -Wformat=2
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--as-needed

CFLAGS_release  := -O2 -g -D_FORTIFY_SOURCE=2
CFLAGS_debug    := -O0 -g
CFLAGS_asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
		   -fno-omit-frame-pointer
CFLAGS_ubsan    := -O1 -g -fsanitize=undefined -fno-sanitize-recover=undefined
CFLAGS_coverage := -O0 -g --coverage
LDFLAGS_asan     := -fsanitize=address,undefined
LDFLAGS_ubsan    := -fsanitize=undefined
LDFLAGS_coverage := --coverage

BASE_CFLAGS = -std=c17 -D_GNU_SOURCE -DBERTH_VERSION='"$(VERSION)"' -I. -I$(O)/gen $(WARN) \
	$(WERROR) $(HARDEN) $(CFLAGS_$(MODE))
WERROR ?= $(if $(CI),-Werror)

# ---- what is linked into what -------------------------------------------------------------------
# Each program names its libraries; `make lint` checks the result with ldd.
BERTH_LIBS  := libnl-3.0 libmnl libseccomp inih jansson
WORKER_LIBS := nettle libsodium jansson zlib
# Of libarchive the worker takes in what it calls: tar and three compressions. Debian's shared one brings
# all its formats, libxml2 and with that ICU: 38 MB, and 1.5 ms at each start of the worker.
LIBARCHIVE ?= $(if $(wildcard $(shell $(CC) -print-file-name=libarchive.a)),static,shared)
FETCH_LIBS  := libcurl jansson nettle

base_src    := $(wildcard supervisor/base/*.c)
leaf_src    := $(wildcard cgroups/*.c netns/*.c images/*.c)
config_src  := $(wildcard config/*.c)
runtime_src := $(wildcard supervisor/runtime/*.c)
core_src    := $(wildcard supervisor/core/*.c)
cmd_src     := $(wildcard supervisor/cmd/*.c)
worker_src  := $(wildcard images/worker/*.c)
fetch_src   := $(wildcard images/fetch/*.c)
unit_tests  := $(wildcard tests/unit/test_*.c)

lib_src     := $(base_src) $(leaf_src) $(config_src) $(runtime_src) $(core_src)
lib_obj     := $(lib_src:%.c=$(O)/%.o)
cmd_obj     := $(cmd_src:%.c=$(O)/%.o)
worker_obj  := $(worker_src:%.c=$(O)/%.o) $(base_src:%.c=$(O)/%.o) $(O)/images/bundle.o \
	       $(O)/images/jail.o $(O)/images/platform.o
fetch_obj   := $(fetch_src:%.c=$(O)/%.o) $(base_src:%.c=$(O)/%.o) $(O)/images/jail.o \
	       $(O)/images/platform.o $(O)/images/reference.o
test_bin    := $(unit_tests:tests/unit/%.c=$(O)/tests/%)
init_src    := $(wildcard supervisor/init/*.c)
init_blob   := $(if $(wildcard supervisor/init/init.c),$(O)/gen/init_blob.o)
net_bin     := $(if $(wildcard tests/net/net.c),$(O)/tests/net-driver)
stepper_bin := $(O)/tests/stepper
probe_bin   := $(if $(wildcard tests/probe/probe.c),$(O)/tests/probe)
hang_bin    := $(if $(shell $(PKG_CONFIG) --exists fuse3 && echo yes),$(O)/tests/hang)

# Without libcurl there is no berth-fetch, and everything else.
fetch_bin   := $(if $(shell $(PKG_CONFIG) --exists $(FETCH_LIBS) && echo yes),$(O)/berth-fetch)

PROGRAMS := $(if $(cmd_src),$(O)/berth) $(if $(worker_src),$(O)/berth-worker) $(fetch_bin)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all help deps run check soak lint sbom install fuzz bench compdb clean unit tests format

all: $(PROGRAMS) ## build the programs into build/MODE/

help: ## this list
	@echo 'berth $(VERSION): make TARGET [MODE=debug|release|asan|ubsan|coverage] [CC=gcc|clang]'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

# ---- compiling ----------------------------------------------------------------------------------
berth_cflags  = $(shell $(PKG_CONFIG) --cflags $(BERTH_LIBS))
berth_libs    = $(shell $(PKG_CONFIG) --libs $(BERTH_LIBS))
worker_cflags = $(shell $(PKG_CONFIG) --cflags libarchive $(WORKER_LIBS))
worker_libs   = $(if $(filter static,$(LIBARCHIVE)),-l:libarchive.a \
	$(shell $(PKG_CONFIG) --libs $(WORKER_LIBS) liblzma libzstd),$(shell $(PKG_CONFIG) --libs libarchive $(WORKER_LIBS)))
fetch_cflags  = $(shell $(PKG_CONFIG) --cflags $(FETCH_LIBS))
fetch_libs    = $(shell $(PKG_CONFIG) --libs $(FETCH_LIBS))
# No clock that is set right stands before it: berth-fetch tells so of one that does.
BUILT        := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),$(shell stat -c %Y Makefile))

$(O)/images/worker/%.o: images/worker/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(worker_cflags) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(O)/images/fetch/%.o: images/fetch/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(fetch_cflags) -DBERTH_BUILT=$(BUILT) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(berth_cflags) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# The text that the control socket tells of itself is taken in by the assembler.
$(O)/supervisor/core/control.o: supervisor/core/org.berth.Supervisor.varlink

$(O)/libberth.a: $(lib_obj)
	@rm -f $@
	$(CROSS_COMPILE)ar rcs $@ $^

$(O)/berth: $(cmd_obj) $(init_blob) $(O)/libberth.a
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) $(LDFLAGS) -o $@ $(cmd_obj) $(init_blob) $(O)/libberth.a \
		$(berth_libs)

$(O)/berth-worker: $(worker_obj)
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) $(LDFLAGS) -o $@ $^ $(worker_libs)

$(O)/berth-fetch: $(fetch_obj)
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) $(LDFLAGS) -pthread -o $@ $^ $(fetch_libs)

# What RunInit= puts into a container: static, without a C library, embedded in berth.
$(O)/berth-init: $(init_src) $(wildcard supervisor/init/*.h) supervisor/base/syscall_data.h
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -Os $(WARN) $(WERROR) -I. -nostdlib -static -ffreestanding -fno-stack-protector \
		-fno-asynchronous-unwind-tables -fno-pie -Wl,--build-id=none,-z,noexecstack -s \
		-o $@ $(init_src)

$(O)/gen/init_blob.o: $(O)/berth-init supervisor/init/blob.S
	@mkdir -p $(@D)
	$(CC) -DBLOB='"$<"' -c supervisor/init/blob.S -o $@

$(O)/tests/probe: tests/probe/probe.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -O1 -g $(WARN) $(WERROR) -static -o $@ $<

# Kills berth, or makes a call fail, at a chosen system call: tests/suite/45-walk.
$(O)/tests/stepper: tests/walk/stepper.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -O1 -g $(WARN) $(WERROR) -o $@ $< \
		$(shell $(PKG_CONFIG) --libs libseccomp)

$(O)/tests/hang: tests/fuse/hang.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -O1 -g $(WARN) $(WERROR) $(shell $(PKG_CONFIG) --cflags fuse3) \
		-o $@ $< $(shell $(PKG_CONFIG) --libs fuse3)

# Drives the network leaf for tests/suite/20-netns.
$(O)/tests/net-driver: $(O)/tests/net/net.o $(O)/libberth.a
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) -o $@ $^ $(berth_libs)

# Every fuzzer, as a function of its own, with what it calls.
fuzz_obj := $(patsubst %.c,$(O)/%.o,$(wildcard tests/fuzz/fuzz_*.c))
$(fuzz_obj): $(O)/tests/fuzz/fuzz_%.o: tests/fuzz/fuzz_%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(berth_cflags) $(worker_cflags) -DLLVMFuzzerTestOneInput=fuzz_$* -MMD -MP -c $< -o $@

# Of berth-fetch what reads, which needs no libcurl.
fetch_part := $(patsubst %,images/fetch/%.c,challenge credentials layout manifest reference reply)

$(O)/tests/test_fuzz_corpus: $(O)/tests/unit/test_fuzz_corpus.o $(fuzz_obj) $(O)/libberth.a \
		$(fetch_part:%.c=$(O)/%.o) $(patsubst %.c,$(O)/%.o,$(filter-out images/worker/main.c,$(worker_src)))
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) -o $@ $(filter %.o,$^) $(O)/libberth.a $(berth_libs) $(worker_libs) \
		$(shell $(PKG_CONFIG) --libs cmocka)

# Of the worker, which is no library, one file.
$(O)/tests/test_view: $(O)/images/worker/view.o

$(O)/tests/%: $(O)/tests/unit/%.o $(init_blob) $(O)/libberth.a
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) -o $@ $< $(filter $(O)/images/worker/%,$^) $(init_blob) $(O)/libberth.a $(berth_libs) \
		$(shell $(PKG_CONFIG) --libs cmocka)

-include $(shell find $(O) build/fuzz -name '*.d' 2>/dev/null)

# The manual pages of the keys are printed from the key table, by a tool for the build machine.
keydoc_src := config/keydoc/keydoc.c config/keys.c config/keys_unserved.c supervisor/base/near.c
$(O)/gen/keydoc: $(keydoc_src) config/keys.h config/draft.h config/unit.h config/spec.h
	@mkdir -p $(@D)
	$(HOSTCC) -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra -I. -o $@ $(keydoc_src)

key_pages := $(patsubst docs/%.5.in,$(O)/gen/%.5,$(wildcard docs/*.5.in))
$(key_pages): $(O)/gen/%.5: docs/%.5.in $(O)/gen/keydoc
	$(O)/gen/keydoc $* < $< > $@

# ---- proving ------------------------------------------------------------------------------------
deps: ## install what building and testing need (apt), or say what is missing
	@tests/lib/deps.sh all

run: ## show the main job: two containers, in namespaces of their own (needs root)
	@tests/run-demo.sh $(O)

tests: $(PROGRAMS) $(test_bin) $(probe_bin) $(stepper_bin) $(net_bin) $(hang_bin)

unit: $(test_bin) ## the unit tests alone: no root needed
	@tests/lib/unit.sh $(test_bin)

check: ## install what the tests need, build, run all tests
	@tests/lib/deps.sh check
	@+$(MAKE) --no-print-directory tests
	@tests/lib/check.sh $(O)

soak: ## every point of the walks that `make check` samples (hours), arm64 and all of the network in machines
	@tests/lib/deps.sh soak
	@+$(MAKE) --no-print-directory tests
	@for test in tests/soak/* tests/suite/45-walk tests/suite/46-faults tests/suite/47-power tests/suite/48-replay; do \
		WALK_POINTS=all WALK_SECONDS=36000 $$test $(O) || bad=1; \
	done; [ -z "$$bad" ]

# Each tests/fuzz/fuzz_X.c runs for FUZZ_SECONDS on tests/fuzz/corpus/X, with clang's libFuzzer. All take what
# they call from one archive.
FUZZ_SECONDS ?= 30
fuzz_src := $(wildcard tests/fuzz/fuzz_*.c)
fuzz_bin := $(fuzz_src:tests/fuzz/%.c=build/fuzz/%)
fuzz_lib := $(base_src) $(leaf_src) $(config_src) supervisor/runtime/users.c supervisor/runtime/lease.c \
	supervisor/runtime/uplink.c supervisor/core/modules.c \
	supervisor/core/varlink.c supervisor/core/loop.c $(filter-out images/worker/main.c,$(worker_src)) $(fetch_part)
FUZZ_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	clang -std=c17 -D_GNU_SOURCE -DBERTH_VERSION='"$(VERSION)"' -I. $(berth_cflags) $(worker_cflags) $(FUZZ_FLAGS) \
		-fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

build/fuzz/libberth.a: $(fuzz_lib:%.c=build/fuzz/%.o)
	@rm -f $@
	ar rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/libberth.a
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(berth_libs) $(worker_libs)
.PRECIOUS: build/fuzz/%.o

fuzz: $(fuzz_bin) ## run each fuzzer for FUZZ_SECONDS
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(fuzz_bin)

bench_bin := $(addprefix $(O)/bench/,start net empty respawn timed)

# The drivers; `empty` is linked with every library of berth, used or not.
$(O)/bench/start: $(O)/bench/start.o $(init_blob) $(O)/libberth.a
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) $(LDFLAGS) -o $@ $< $(init_blob) $(O)/libberth.a $(berth_libs)

$(O)/bench/net: $(O)/bench/net.o $(O)/libberth.a
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) $(LDFLAGS) -o $@ $^ $(berth_libs)

$(O)/bench/empty: $(O)/bench/empty.o
	$(CC) $(LDHARDEN) $(LDFLAGS_$(MODE)) $(LDFLAGS) -o $@ $< -Wl,--no-as-needed $(berth_libs)

$(O)/bench/respawn $(O)/bench/timed: $(O)/bench/%: $(O)/bench/%.o
	$(CC) -static -o $@ $<

bench: all $(probe_bin) $(net_bin) $(bench_bin) ## start, restart, rest and size, beside peers (root; docs/bench.md)
	@bench/run $(O)

lint: ## clang-format, clang-tidy, cppcheck, shellcheck, arrows, what each program links
	@tests/lint/lint.sh $(O)

format: ## let clang-format rewrite the tree
	clang-format -i $$(git ls-files '*.c' '*.h')

compdb: ## compile_commands.json for editors and clang-tidy
	@tests/lint/compdb.sh '$(subst ','\'',$(CC) $(BASE_CFLAGS) $(berth_cflags) $(worker_cflags) -DBERTH_BUILT=0)' > compile_commands.json

sbom: all ## build/MODE/berth.spdx: what is linked, as SPDX
	@packaging/sbom.sh $(O) $(VERSION) > $(O)/berth.spdx
	@echo $(O)/berth.spdx

install: all $(key_pages) ## DESTDIR= PREFIX=
	install -Dm755 $(O)/berth $(DESTDIR)$(PREFIX)/sbin/berth
	install -Dm755 $(O)/berth-worker $(DESTDIR)$(PREFIX)/libexec/berth-worker
	$(if $(fetch_bin),install -Dm755 $(O)/berth-fetch $(DESTDIR)$(PREFIX)/libexec/berth-fetch)
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in berth berth-containers; do \
		sed 's|/usr/local/|$(PREFIX)/|' packaging/$$unit.service \
			> $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service; \
	done
	install -Dm644 docs/berth.8 $(DESTDIR)$(PREFIX)/share/man/man8/berth.8
	install -Dm644 docs/berth-pack.1 $(DESTDIR)$(PREFIX)/share/man/man1/berth-pack.1
	install -Dm644 docs/berth-image.1 $(DESTDIR)$(PREFIX)/share/man/man1/berth-image.1
	for page in $(key_pages); do \
		install -Dm644 $$page $(DESTDIR)$(PREFIX)/share/man/man5/$${page##*/}; \
	done

clean: ## remove build/
	rm -rf build compile_commands.json
