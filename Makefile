# Every command of the project. `make` lists them.

CARGO ?= cargo
# Tests on mounts run a few at a time: each has a node, agents and busy threads of its own.
E2E_THREADS ?= 2
# How many rounds of kills; about four seconds each.
CRASH_ROUNDS ?= 200

.PHONY: help deps build quickstart test test-unit test-e2e test-crash check fix bench

help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

deps: ## Install the system packages that the tests use, where commands are missing
	@sh tests/deps.sh

build: ## Build everything
	$(CARGO) build --workspace --bins

quickstart: ## Try the product on this machine: node, mounts, real work, revocation
	$(CARGO) run --release -p artifacts -- quickstart

test: deps build test-unit test-e2e ## Run all tests (needs /dev/fuse)

test-unit: ## Run the unit and property tests
	$(CARGO) test --workspace --lib --bins
	$(CARGO) test --workspace --doc

test-e2e: build ## Run the tests on real nodes and mounts
	$(CARGO) test --workspace --test '*' --no-fail-fast -- --test-threads=$(E2E_THREADS)

test-crash: build ## Kill agents and nodes at random, many times, and check what is left (CRASH_ROUNDS, CRASH_SEED)
	CRASH_ROUNDS=$(CRASH_ROUNDS) CRASH_SEED=$(CRASH_SEED) $(CARGO) test -p artifacts-tests --test crash -- --nocapture

check: ## Check format, lints, docs and licences; changes nothing
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) check -p artifacts --no-default-features
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --workspace
	$(CARGO) test --workspace --test licences

fix: ## Format, and apply what the lints suggest
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged

bench: ## Measure revocation and file operations (release build, needs /dev/fuse)
	$(CARGO) build --release --workspace --bins
	$(CARGO) bench --workspace --bench revocation --bench small_files
