# `make` alone lists what there is. Everything is done by scripts/, which say what they do.
.DEFAULT_GOAL := help
.PHONY: help setup setup-check setup-test demo test check quick format bench bench-sfu proto proto-baseline lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what running needs, build the engine and the web SDK (safe to repeat)
	@scripts/setup

setup-test: ## the same, and what the tests need: browsers, clang, test libraries
	@scripts/setup test

demo: setup ## set up, then start everything: a call at http://127.0.0.1:7880
	@.venv/bin/nexus dev

test: setup-test ## run every test there is (FUZZ_SECONDS=60 for longer fuzzing, STAGES=name,name for some)
	@.venv/bin/python scripts/test.py

setup-check: ## the same as setup, and what checking needs (no browsers)
	@scripts/setup check

check: setup-check ## formats, lints, types, contracts, prose; changes nothing
	@.venv/bin/python scripts/check.py

quick: setup-check ## check what differs from main, and run the unit tests that it affects
	@.venv/bin/python scripts/quick.py

format: ## format Python and C++, mend what ruff can mend
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format --quiet .
	@find native -name '*.h' -o -name '*.cc' | xargs clang-format -i

bench-sfu: ## our SFU beside LiveKit and Janus (a quarter of an hour; installs both), table into docs/benchmarks.md
	@scripts/setup bench
	@.venv/bin/python bench/sfu.py --readme

bench: setup-test ## measure, and keep the results as JSON
	@.venv/bin/python scripts/bench.py

proto: ## generate code from proto/
	@scripts/proto

proto-baseline: ## accept the contracts as they are now as what later ones must stay compatible with
	@cd proto && ../.venv/bin/buf build -o baseline.binpb

lock: ## pin the Python dependencies anew (LOCK_FLAGS=--upgrade for newer ones)
	@scripts/lock $(LOCK_FLAGS)

clean: ## remove what was built; .venv, node_modules and ccache stay
	rm -rf build .setup-stamps sdks/web/dist native/python/nexus_media/*.so
	find . -name __pycache__ -type d -not -path './.venv/*' -not -path './node_modules/*' -prune -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
