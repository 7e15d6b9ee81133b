# Thin front to Meson: `make demo` and `make check` are the two commands of the README.
BUILD       ?= build
CHECK_BUILD ?= build-check
PREFIX      ?= /usr/local

.PHONY: all packs demo check kill bench converge escapes install fmt lint fuzz coverage clean bootstrap

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

bootstrap:
	@scripts/bootstrap

$(BUILD)/build.ninja: | bootstrap
	@meson setup $(BUILD) --buildtype=release --prefix=$(PREFIX) -Dtests=false >$(BUILD).log 2>&1 \
	    || { cat $(BUILD).log; exit 1; }; rm -f $(BUILD).log

demo: bootstrap all
	@$(BUILD)/cadre demo

check:
	@tests/run $(CHECK_BUILD)

# A run is killed at every write to its journal and every git call, and resumed; that takes long.
kill: bootstrap
	@[ -f build-kill/build.ninja ] || meson setup build-kill --buildtype=release -Dtests=true >build-kill.log 2>&1 \
	    || { cat build-kill.log; exit 1; }; rm -f build-kill.log
	@ninja -C build-kill --quiet cadre cadre-exec
	@CADRE=build-kill/cadre CADRE_KILL_ALL=1 bash tests/e2e/kill_every.sh

bench: bootstrap all
	@ninja -C $(BUILD) --quiet bench/measure bench/floor
	@bench/run $(BUILD)

# Simulated teams on generated repositories; RUNS=200 of each kind takes more than an hour on two cores.
RUNS ?= 200
converge: bootstrap all
	@ninja -C $(BUILD) --quiet bench/converge
	@$(BUILD)/bench/converge --cadre $(BUILD)/cadre --runs $(RUNS)
	@$(BUILD)/bench/converge --cadre $(BUILD)/cadre --runs 3 --speed

# Attempts to get out of the sandbox, beside Codex's under every policy; the table goes to build/escapes.md.
escapes: bootstrap all
	@CADRE=$(BUILD)/cadre CADRE_ESCAPES_ALL=1 tests/e2e/escapes.sh

install: all
	@meson install -C $(BUILD)

fmt:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

lint: all
	@scripts/lint $(BUILD)

packs:
	@scripts/make-packs

fuzz:
	@fuzz/run

clean:
	@rm -rf $(BUILD) $(CHECK_BUILD)
