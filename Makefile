# `make` without a target lists the targets. The work is done by scripts/.
.DEFAULT_GOAL := help
.PHONY: help setup setup-check setup-test demo test chaos-recording clang gcc tidy fuzz check quick format bench bench-sfu bench-record proto proto-baseline lock clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything needed for running, build the engine and the web SDK (repeatable)
	@scripts/setup

setup-test: ## setup, and everything needed for the tests: browsers, clang, test libraries
	@scripts/setup test

demo: setup ## set up, then start everything: a call at http://127.0.0.1:7880
	@.venv/bin/nexus dev

test: setup-test ## run all tests (FUZZ_SECONDS=60 for longer fuzzing, STAGES=name,name for some stages)
	@.venv/bin/python scripts/test.py

chaos-recording: setup-test ## kill, stop and fill up everything around a recorder while it records (30 minutes)
	@STAGES=chaos-recording .venv/bin/python scripts/test.py

clang: setup-test ## build the whole engine with clang 19, and run its tests (10 minutes)
	@STAGES=clang .venv/bin/python scripts/test.py

gcc: setup-test ## the same with another GCC: make gcc CXX=g++-14
	@CXX="$(CXX)" STAGES=gcc .venv/bin/python scripts/test.py

tidy: setup-test ## run clang-tidy on the C++ files that differ from main (ALL=1 for all; 15 seconds a file)
	@.venv/bin/python scripts/tidy.py

fuzz: setup-test ## run every fuzzer for a minute (FUZZ_SECONDS=600 for longer)
	@FUZZ_SECONDS="$${FUZZ_SECONDS:-60}" STAGES=fuzz .venv/bin/python scripts/test.py

setup-check: ## setup, and everything needed for the checks (no browsers)
	@scripts/setup check

check: setup-check ## check format, lint, types, contracts, prose and documents; changes nothing
	@.venv/bin/python scripts/check.py

quick: setup-check ## check the differences from main, and run the unit tests that they affect
	@.venv/bin/python scripts/quick.py

format: ## format Python and C++, and apply ruff's fixes
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format --quiet .
	@find native -name '*.h' -o -name '*.cc' | xargs clang-format -i

bench-sfu: ## compare the SFU with LiveKit and Janus (15 minutes; installs both), write docs/benchmarks.md
	@scripts/setup bench
	@.venv/bin/python bench/sfu.py --readme

bench-record: setup-test ## measure recordings: cost, memory, kill -9, skew (8 minutes), write docs/benchmarks.md
	@.venv/bin/python bench/record.py --document

bench: setup-test ## run the other benchmarks, and keep the results as JSON
	@.venv/bin/python scripts/bench.py

proto: ## generate code from proto/
	@scripts/proto

proto-baseline: ## make the present contracts the baseline with which later ones must stay compatible
	@cd proto && ../.venv/bin/buf build -o baseline.binpb

lock: ## pin the Python dependencies again (LOCK_FLAGS=--upgrade for newer versions)
	@scripts/lock $(LOCK_FLAGS)

clean: ## remove build results; .venv, node_modules and ccache stay
	rm -rf build .setup-stamps sdks/web/dist native/python/nexus_media/*.so libs/frames/src/nexus_frames/*.so
	find . -name __pycache__ -type d -not -path './.venv/*' -not -path './node_modules/*' -prune -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
