# Intaglio. `make help` lists the targets; each sets up what it needs in .venv, from PyPI.

PYTHON    ?= python3
PROVIDER  ?= accelerator
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
CAMPAIGN_ARGS ?=
PROVE_ARGS ?=
MUTATE_ARGS ?=
FLIP_ARGS ?=
PARETO_ARGS ?=
# Profiles and devices in turn, and options of `intaglio synth`.
SYNTH_ARGS ?= tiny up5k compact ecp5-25k fast ecp5-85k

VENV  := .venv
BIN   := $(VENV)/bin
COMMA := ,

# Without a C++ compiler on the machine, one comes from PyPI as well.
CXX_FOUND := $(shell command -v c++ || command -v g++ || command -v clang++)
COMPILER  := $(if $(CXX_FOUND),,compiler)

# One stamp for each set of packages, newer than pyproject.toml once they are installed.
stamp     = $(VENV)/.installed-$(1)$(COMPILER:%=-%)
DEMO_ENV := $(call stamp,hdl)
TEST_ENV := $(call stamp,test)
PROVE_ENV := $(call stamp,prove)
LINT_ENV := $(VENV)/.installed-lint
SYNTH_ENV := $(VENV)/.installed-synth
PLOT_ENV := $(VENV)/.installed-plot

.DEFAULT_GOAL := help
.PHONY: help demo test verify netlist prove mutate flips fuzz fuzz-link interop campaign bench-rtl \
  bench-records bench-handshakes bench-udp bench-connections synth boards pareto lint clean
.NOTPARALLEL:

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: $(DEMO_ENV) ## a DTLS 1.3 session; PROVIDER=accelerator, virtual-board or software; DEMO_ARGS
	@$(BIN)/intaglio demo --provider $(PROVIDER) $(DEMO_ARGS)

test: $(TEST_ENV) ## the test suite; pytest's options in TEST_ARGS
	@$(BIN)/python -m pytest -n auto --dist worksteal $(TEST_ARGS)

verify: $(TEST_ENV) ## RTL verification in full: all vectors, random traffic, coverage (half an hour)
	@rm -f build/cocotb/*/coverage.json
	@INTAGLIO_VERIFY=full $(BIN)/python -m pytest -n auto --dist worksteal cocotb_tests $(TEST_ARGS)
	@$(BIN)/python -m cocotb_tests.report --json build/verify.json

netlist: $(TEST_ENV) ## the netlists of tiny and compact after synthesis, simulated (up to an hour)
	@INTAGLIO_NETLIST=full $(BIN)/python -m pytest -n auto --dist worksteal tests/boards/test_netlist.py \
	  $(TEST_ARGS)

prove: $(PROVE_ENV) ## proofs of the gateware, each beside a broken copy (half an hour); PROVE_ARGS
	@$(BIN)/python -m proofs --json build/prove.json $(PROVE_ARGS)

mutate: $(TEST_ENV) ## changes to the gateware, and which of them the tests notice (minutes); MUTATE_ARGS
	@$(BIN)/python -m mutations --json build/mutate.json $(MUTATE_ARGS)

flips: $(TEST_ENV) ## single flipped bits while records are opened (half an hour); FLIP_ARGS
	@$(BIN)/python -m mutations.flips --json build/flips.json $(FLIP_ARGS)

fuzz: $(TEST_ENV) ## hostile input for every parser and whole connections (under an hour)
	@INTAGLIO_FUZZ=20000 $(BIN)/python -m pytest -n auto --dist worksteal tests/fuzz $(TEST_ARGS)

fuzz-link: $(TEST_ENV) ## a million random bytes and every cut of a session at a virtual board (minutes)
	@INTAGLIO_FUZZ_LINK=full $(BIN)/python -m pytest tests/boards/test_virtual_noise.py $(TEST_ARGS)

interop: $(TEST_ENV) ## sessions with wolfSSL and BoringSSL, both roles; pytest's options in TEST_ARGS
	@$(BIN)/python -m interop.build
	@$(BIN)/python -m pytest -n auto --dist worksteal interop $(TEST_ARGS)

campaign: $(TEST_ENV) ## handshakes and data over a bad network; options in CAMPAIGN_ARGS
	@$(BIN)/python -m benchmarks.bad_network $(CAMPAIGN_ARGS)

bench-rtl: $(DEMO_ENV) ## cycles a record in the compiled gateware, beside the limit; options in BENCH_ARGS
	@$(BIN)/python -m benchmarks.record_rate --json build/bench-rtl.json $(BENCH_ARGS)

bench-records: $(DEMO_ENV) ## what a record costs in software, beside one AEAD call; options in BENCH_ARGS
	@$(BIN)/python -m benchmarks.dtls_records --json build/bench-records.json $(BENCH_ARGS)

bench-handshakes: $(DEMO_ENV) ## handshakes a second, beside the cryptography in them; BENCH_ARGS
	@$(BIN)/python -m benchmarks.handshakes --json build/bench-handshakes.json $(BENCH_ARGS)

bench-udp: $(DEMO_ENV) ## bulk transfer over UDP beside a plain sendto/recv loop; BENCH_ARGS
	@$(BIN)/python -m benchmarks.udp_bulk --json build/bench-udp.json $(BENCH_ARGS)

bench-connections: $(DEMO_ENV) ## memory and time of thousands of connections on a server; BENCH_ARGS
	@$(BIN)/python -m benchmarks.many_connections --json build/bench-connections.json $(BENCH_ARGS)

synth: $(SYNTH_ENV) ## size and clock on FPGAs as a Markdown table (half an hour); SYNTH_ARGS
	@$(BIN)/intaglio synth $(SYNTH_ARGS) --markdown

boards: $(TEST_ENV) ## bitstreams for iCEBreaker, Tang Nano 9K, ULX3S 25F and 85F (an hour); the first one twice
	@mkdir -p build/boards
	@INTAGLIO_BOARDS=1 $(BIN)/python -m pytest -q tests/boards/test_bitstream.py
	@$(BIN)/intaglio build icebreaker -o build/boards/icebreaker.bin --save
	@$(BIN)/intaglio build tang-nano-9k -o build/boards/tang-nano-9k.fs --save
	@$(BIN)/intaglio build ulx3s-25f -o build/boards/ulx3s-25f.bit --save
	@$(BIN)/intaglio build ulx3s-85f -o build/boards/ulx3s-85f.bit --save
	@$(BIN)/intaglio boards --built

pareto: $(PLOT_ENV) ## size against rate on an ECP5 as a plot (hours); PARETO_ARGS
	@$(BIN)/python -m benchmarks.pareto --plot docs/img/pareto.svg $(PARETO_ARGS)

lint: $(LINT_ENV) ## style, formatting and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

clean: ## remove what was built; .venv stays
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(DEMO_ENV): pyproject.toml
	$(call install,hdl$(COMPILER:%=$(COMMA)%))

$(TEST_ENV): pyproject.toml
	$(call install,test$(COMPILER:%=$(COMMA)%))

$(SYNTH_ENV): pyproject.toml
	$(call install,synth)

$(PROVE_ENV): pyproject.toml
	$(call install,prove)

$(PLOT_ENV): pyproject.toml
	$(call install,plot)

$(LINT_ENV): pyproject.toml
	$(call install,hdl$(COMMA)lint)

# Recipe: install the extras $(1), and leave the stamp only if pip succeeded. Where .installing is
# found, the last run was cut off in the middle, and the environment is built anew.
define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || { echo '$(PYTHON) is not Python 3.11 or newer: set PYTHON=... to one that is.' >&2; exit 1; }
@rm -f $@
@if [ -e $(VENV)/.installing ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
  $(PYTHON) -c 'import ensurepip' 2>/dev/null \
    || { echo '$(PYTHON) cannot make virtual environments: apt install python3-venv' >&2; exit 1; }; \
  echo 'Creating $(VENV)'; \
  $(PYTHON) -m venv --clear $(VENV); \
fi
@echo 'Installing intaglio[$(1)] into $(VENV); the first time takes about a minute:'
@touch $(VENV)/.installing
@{ $(BIN)/python -m pip install --progress-bar off -e '.[$(1)]' && touch $@; } 2>&1 \
  | sed -nu -e 's/^Collecting \([^][ ;<>=!~(]*\).*/  \1/p' -e 's/^\(Installing\) collected.*/\1/p' \
        -e '/^ *error/I,$$p'
@rm $(VENV)/.installing
@[ -e $@ ] || { echo 'pip could not install intaglio[$(1)]; its reason is above.' >&2; exit 1; }
endef
