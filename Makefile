# Every command of the project. `make` lists them.

CARGO ?= cargo
# Tests on mounts run a few at a time: each has a node, agents and busy threads of its own.
E2E_THREADS ?= 2
# How many rounds of kills; about four seconds each.
CRASH_ROUNDS ?= 200

.PHONY: help deps build quickstart test test-unit test-e2e test-posix test-sdk test-console test-schema test-schema-short test-crash test-linearizability test-sim test-failover test-revoke test-forks test-suites fuzz docs docs-reference static static-sandbox package check fix bench

help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-20s %s\n", $$1, $$2 }'

deps: ## Install the system packages that the tests use, where commands are missing
	@sh tests/deps.sh
	@sh tests/s3-server.sh
	@sh tests/sdk.sh
	@sh tests/deploy-tools.sh
	@sh tests/console.sh

build: ## Build everything
	$(CARGO) build --workspace --bins

quickstart: ## Try the product on this machine: node, mounts, real work, revocation
	$(CARGO) run --release -p artifacts -- quickstart

test: deps build test-unit test-e2e test-posix test-sdk test-console test-schema-short ## Run all tests (needs /dev/fuse)

test-unit: ## Run the unit and property tests
	$(CARGO) test --workspace --lib --bins
	$(CARGO) test --workspace --doc

test-e2e: build ## Run the tests on real nodes and mounts
	$(CARGO) test --workspace --test '*' --no-fail-fast -- --test-threads=$(E2E_THREADS)
	ARTIFACTS_TEST_BLOBS=s3 $(CARGO) test --workspace --test real_work --test isolation --no-fail-fast -- --test-threads=$(E2E_THREADS) \
		real_work crashes:: coherence:: data::
	ARTIFACTS_TEST_BLOBS=slate $(CARGO) test --workspace --test real_work --test locks --no-fail-fast -- --test-threads=$(E2E_THREADS) \
		real_work crashes:: coherence:: sharing:: holders::

PYTHON := target/tools/python/bin/python

test-sdk: deps build ## Run the tests of both SDKs on a real node
	cd sdk/typescript && npm test --silent
	$(PYTHON) -m pytest sdk/python

test-console: deps build ## Run the tests of the web console in Chromium, on a cluster with real mounts; pictures go to target/console
	timeout 300 node tests/console/console.test.mjs

# How many requests of each kind are made up for each call.
SCHEMA_EXAMPLES ?= 500

test-schema: deps build ## Ask a node everything that its description allows and more, at length (SCHEMA_EXAMPLES, SCHEMA_SEED)
	SCHEMA_EXAMPLES=$(SCHEMA_EXAMPLES) $(PYTHON) tests/schema/run.py

test-schema-short: deps build
	SCHEMA_SEED=$${SCHEMA_SEED:-1} $(PYTHON) tests/schema/run.py

test-suites: deps ## Run all of fsx, fio, stress-ng, SQLite and builds on mounts (release build, about an hour)
	$(CARGO) build --release --workspace --bins
	ARTIFACTS_SUITES=full $(CARGO) test --release --workspace --test suites --no-fail-fast -- --test-threads=1 --nocapture

PJDFSTEST_VERSION := 0.2.2
PJDFSTEST := target/tools/bin/pjdfstest

test-posix: deps build ## Run pjdfstest on a mount (needs root)
	@[ "$$($(PJDFSTEST) --version 2>/dev/null)" = "pjdfstest $(PJDFSTEST_VERSION)" ] || \
		$(CARGO) install --quiet --force --locked --root target/tools --version $(PJDFSTEST_VERSION) pjdfstest
	target/debug/posix-suite $(PJDFSTEST)

test-crash: build ## Kill agents and nodes at random, many times, and check what is left (CRASH_ROUNDS, CRASH_SEED)
	CRASH_ROUNDS=$(CRASH_ROUNDS) CRASH_SEED=$(CRASH_SEED) $(CARGO) test --workspace --test crash -- --nocapture

# How many operations real mounts and simulated ones are checked with.
LIN_OPS ?= 100000
LIN_MOUNTS ?= 4
SIM_OPS ?= 5000000

test-linearizability: ## Check that real and simulated mounts are one file system, at length (LIN_OPS, LIN_SEED, LIN_MOUNTS, SIM_OPS, SIM_SEED)
	$(CARGO) build --release --workspace --bins
	LIN_OPS=$(LIN_OPS) LIN_MOUNTS=$(LIN_MOUNTS) LIN_SEED=$(LIN_SEED) SIM_OPS=$(SIM_OPS) SIM_SEED=$(SIM_SEED) \
		$(CARGO) test --release --workspace --test linearizability --test linearizability_sim -- --nocapture

# How many seeds are simulated; `make test` does 100.
SIM_SEEDS ?= 10000
SIM_AGENTS ?= 10000
PLANTED := skip-fencing skip-grace accept-unsigned serve-without-proof forget-lock-fence ack-before-durable keep-believing forget-readers

test-sim: ## Simulate many seeds, look for every planted fault, and revoke what 10,000 agents stand on (release build, minutes; SIM_SEEDS, SIM_AGENTS)
	$(CARGO) build --release --workspace --bins
	target/release/artifacts sim sweep --seeds 0..$(SIM_SEEDS)
	@for fault in $(PLANTED); do target/release/artifacts sim sweep -q --seeds 0..200 --planted $$fault || exit 1; done
	target/release/artifacts sim scale --agents $(SIM_AGENTS) --regions 3 --loss 10% --png target/scale.png

# How often nodes are killed and cut off; about half a minute each.
FAILOVER_KILLS ?= 50
FAILOVER_CUTS ?= 20
FORK_FILES ?= 100000
FORK_BYTES ?= 1073741824

test-failover: deps ## Kill and cut off nodes of a cluster under load, and check all that was promised (FAILOVER_KILLS, FAILOVER_CUTS, FAILOVER_SEED)
	$(CARGO) build --release --workspace --bins
	FAILOVER_KILLS=$(FAILOVER_KILLS) FAILOVER_CUTS=$(FAILOVER_CUTS) FAILOVER_SEED=$(FAILOVER_SEED) \
		$(CARGO) test --release --workspace --test failover -- --nocapture

# How many live sessions one call revokes.
REVOKED_SESSIONS ?= 10000

test-revoke: ## Revoke a tenant and an account with very many live sessions, each in one call (REVOKED_SESSIONS)
	$(CARGO) build --release --workspace --bins
	REVOKED_SESSIONS=$(REVOKED_SESSIONS) $(CARGO) test --release --workspace --test platform -- --nocapture everything::

test-forks: deps ## Fork a workspace of 100,000 files and 1 GiB, and check how long that takes (FORK_FILES, FORK_BYTES)
	$(CARGO) build --release --workspace --bins
	FORK_FILES=$(FORK_FILES) FORK_BYTES=$(FORK_BYTES) $(CARGO) test --release --workspace --test forks -- --nocapture scale

# How long each target is fuzzed, in seconds.
FUZZ_SECONDS ?= 600
CARGO_FUZZ_VERSION := 0.13.2
FUZZ := PATH=$(CURDIR)/target/tools/bin:$$PATH $(CARGO) +nightly fuzz

fuzz: ## Fuzz all that reads bytes from a network, one target after the other (nightly compiler; FUZZ_SECONDS each)
	@[ -x target/tools/bin/cargo-fuzz ] || $(CARGO) install --quiet --locked --root target/tools --version $(CARGO_FUZZ_VERSION) cargo-fuzz
	@for target in $$($(FUZZ) list); do \
		echo "fuzzing $$target for $(FUZZ_SECONDS) s"; \
		$(FUZZ) run $$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 || exit 1; \
	done

MDBOOK_VERSION := 0.5.4
MDBOOK := target/tools/bin/mdbook

docs: ## Build the documentation as a site, target/book, and check its links (DOCS_SOURCE: address of the sources)
	@[ "$$($(MDBOOK) --version 2>/dev/null)" = "mdbook v$(MDBOOK_VERSION)" ] || \
		$(CARGO) install --quiet --force --locked --debug --root target/tools --version $(MDBOOK_VERSION) --no-default-features --features search mdbook
	@$(CARGO) build --quiet --workspace --bin book
	@target/debug/book lay docs target/book-pages
	@$(MDBOOK) build --dest-dir $(CURDIR)/target/book target/book-pages
	@target/debug/book check target/book

docs-reference: build ## Write the generated pages of the documentation anew
	DOCS_WRITE=1 $(CARGO) test --workspace --test documentation reference::

# Static against musl where the compiler has that target (rustup target add x86_64-unknown-linux-musl) and C has it (musl-tools), else
# against the machine's libc.
STATIC_TARGET ?= $(or $(and $(shell command -v musl-gcc),$(shell rustup target list --installed 2>/dev/null | grep -m 1 -e '-linux-musl$$')),$(shell rustc -vV | sed -n 's/^host: //p'))
STATIC := RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --locked --release -p artifacts --bins --target $(STATIC_TARGET) --target-dir target/static-build
STATIC_BUILT = target/static-build/$(STATIC_TARGET)/release/artifacts
SANDBOX_BYTES_MAX := 15000000

static: static-sandbox ## Build the program static and stripped, and the one for sandboxes, in target/static; prints their sizes
	$(STATIC)
	@install -D -m 0755 -s $(STATIC_BUILT) target/static/artifacts
	@ls -l target/static | awk 'NR > 1 { printf "%s: %.1f MB\n", $$NF, $$5 / 1000000 }'

static-sandbox:
	$(STATIC) --no-default-features
	@install -D -m 0755 -s $(STATIC_BUILT) target/static/artifacts-sandbox
	@! ldd target/static/artifacts-sandbox 2>/dev/null | grep '=>' || { echo "it is not static" >&2; exit 1; }
	@size=$$(stat -c %s target/static/artifacts-sandbox); echo "the program for sandboxes: $$size bytes, $(STATIC_TARGET)"; \
		[ $$size -lt $(SANDBOX_BYTES_MAX) ] || { echo "that is more than $(SANDBOX_BYTES_MAX)" >&2; exit 1; }

package: static ## Make tarballs of both, with man pages, completions, units and an installer, in target/package
	@rm -rf target/package
	@deploy/package.sh target/static/artifacts artifacts target/package
	@deploy/package.sh target/static/artifacts-sandbox artifacts-sandbox target/package target/static/artifacts

check: docs ## Check format, lints, docs and licences; changes nothing
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) check -p artifacts --no-default-features
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --workspace
	$(CARGO) test --workspace --test licences

fix: ## Format, and apply what the lints suggest
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged

bench: deps static-sandbox ## Measure revocation, how soon the static program mounts, several mounts, a cluster, many agents, and file operations beside JuiceFS (release build, needs /dev/fuse)
	@sh tests/benches/deps.sh
	$(CARGO) build --release --workspace --bins
	$(CARGO) bench --workspace --bench revocation --bench start --bench mounts --bench cluster --bench agents --bench comparison
