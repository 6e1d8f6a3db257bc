# Bare `make` prints this help. Every target works on a fresh machine with Go, gcc, git and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := bin
PRODUCT := ./server/... ./sqlext/... ./executor/... ./importcore/...
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME ?= 20s
BENCH ?= .
ROWS ?= 1000000
MOMENTS ?= 100
BENCHFLAGS ?=
PLOTFLAGS ?=
BINS = SLUICE_BIN=$(CURDIR)/$(BIN)/sluice SLUICE_PLAYGROUND_BIN=$(CURDIR)/$(BIN)/playground
ORACLE_REPORT := $(CURDIR)/$(BIN)/oracle.txt
LATENCY_REPORT := $(CURDIR)/$(BIN)/latency.txt
CRASH_REPORT := $(CURDIR)/$(BIN)/crash.txt
KILLS ?= 500
RESTORE_KILLS ?= 24
RESTORE_FAULTS ?= 12
FAULTS_REPORT := $(CURDIR)/$(BIN)/faults.txt
FAULTS ?= 144
RUN_DEMO = $(BINS) $(BIN)/demo

.PHONY: help
help: ## print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z\/-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/sluice (the product) and bin/playground (the embedded cluster)
	go build -o $(BIN)/sluice ./server
	go build -o $(BIN)/playground ./tests/playground/cmd/playground
	go build -o $(BIN)/demo ./tests/demo

.PHONY: demo
demo: build ## import 1,000,000 rows into the embedded cluster through Sluice and check the result
	$(RUN_DEMO) -rows $(ROWS)

.PHONY: playground
playground: build ## leave the embedded cluster and Sluice running and print the line for a mysql client
	$(RUN_DEMO) -stay

.PHONY: test
test: deps vet test/race test/cells test/cluster ## everything that needs no long load

.PHONY: deps
deps: ## install what the tests need beside Go (a MariaDB server)
	@tests/deps.sh

.PHONY: vet
vet: ## formatting and go vet
	@out=$$(gofmt -l server sqlext executor importcore tests); if [ -n "$$out" ]; then echo "not gofmt-clean:"; echo "$$out"; exit 1; fi
	go vet ./...

.PHONY: test/race
test/race: ## unit tests of the product under the race detector
	tests/run.sh go test -race -timeout 60m $(PRODUCT)

.PHONY: test/cells
test/cells: ## the fast and the general encoder on a million generated cells of each type
	tests/run.sh go test -timeout 60m -run TestFastAndGeneralEncoderAgree ./importcore/encode

.PHONY: test/cluster
test/cluster: build ## tests against the embedded cluster, peers included
	SLUICE_PLAYGROUND_BIN=$(CURDIR)/$(BIN)/playground tests/run.sh go test -p 2 -timeout 80m ./tests/...

.PHONY: test-restore
test-restore: build deps ## dumps and backups of BR, read, restored as jobs, and compared with what TiDB, MariaDB, tidb-lightning and br have; the long forms
	$(BINS) SLUICE_RESTORE=long go test -count=1 -p 1 -timeout 120m ./tests/restores ./tests/restorejobs ./tests/restoresql ./tests/archive ./tests/brarchive ./tests/logical ./tests/restorebench
	$(BINS) SLUICE_CRASH_KINDS=RESTORE SLUICE_CRASH_KILLS=$(RESTORE_KILLS) SLUICE_FAULTS=$(RESTORE_FAULTS) go test -count=1 -timeout 60m -run 'Killed|PartsOf' ./tests/crash

.PHONY: test-oracle
test-oracle: build ## every shape of table and type judged by TiDB, 1,000,000 values; SLUICE_ORACLE_SEED repeats a run
	@rm -f $(ORACLE_REPORT); status=0; \
	$(BINS) SLUICE_ORACLE=full SLUICE_ORACLE_REPORT=$(ORACLE_REPORT) go test -count=1 -timeout 90m -run 'Twins|Collations|JudgeSees' ./tests/oracle || status=$$?; \
	if [ -e $(ORACLE_REPORT) ]; then cat $(ORACLE_REPORT); fi; exit $$status

.PHONY: test/memory-long
test/memory-long: build ## peak memory within the budget: many jobs, 16 MiB values, 500 indexes, 10,000 files, sessions; ten times the size
	SLUICE_MEMORY_LONG=1 $(BINS) go test -count=1 -v -timeout 120m ./tests/memory

.PHONY: test-latency
test-latency: build ## PAUSE and CANCEL at MOMENTS (100) random moments, all within two seconds; SLUICE_LATENCY_SEED picks others
	@rm -f $(LATENCY_REPORT); status=0; \
	$(BINS) SLUICE_LATENCY=$(MOMENTS) SLUICE_LATENCY_REPORT=$(LATENCY_REPORT) go test -count=1 -timeout 90m -run PauseAndCancelAtAnyMoment ./tests/imports || status=$$?; \
	if [ -e $(LATENCY_REPORT) ]; then cat $(LATENCY_REPORT); fi; exit $$status

.PHONY: test-crash
test-crash: build ## kill -9 of Sluice, KILLS (500) times, over the life of every kind of job; SLUICE_SEED repeats a run
	@rm -f $(CRASH_REPORT); status=0; \
	$(BINS) SLUICE_CRASH_KILLS=$(KILLS) SLUICE_CRASH_REPORT=$(CRASH_REPORT) go test -count=1 -timeout 600m -run 'KilledProcesses|KilledInEachPhase' ./tests/crash || status=$$?; \
	if [ -e $(CRASH_REPORT) ]; then cat $(CRASH_REPORT); fi; exit $$status

.PHONY: test-faults
test-faults: build ## parts of the cluster away, hanging, cut off, FAULTS (144) times, over the life of jobs; SLUICE_SEED repeats a run
	@rm -f $(FAULTS_REPORT); status=0; \
	$(BINS) SLUICE_FAULTS=$(FAULTS) SLUICE_FAULTS_REPORT=$(FAULTS_REPORT) go test -count=1 -timeout 300m -run 'PartsOfTheClusterGoAway|FullDisk' ./tests/crash || status=$$?; \
	if [ -e $(FAULTS_REPORT) ]; then cat $(FAULTS_REPORT); fi; exit $$status

.PHONY: test/conflicts-long
test/conflicts-long: build ## rows that collide: the whole matrix and 5,000,000 duplicates, with peak memory
	SLUICE_CONFLICTS_ROWS=5000000 go test -v -timeout 30m -run ManyDuplicates ./importcore/conflict
	SLUICE_CONFLICTS_LONG=1 SLUICE_CONFLICTS_ROWS=5000000 $(BINS) go test -v -timeout 120m -run 'Conflict|ManyDuplicates' ./tests/imports

.PHONY: progress-plot
progress-plot: build ## percent and ETA of steady jobs, judged by their real end; writes docs/progress.svg; PLOTFLAGS="-samples"
	$(BINS) go run ./tests/progress -svg docs/progress.svg $(PLOTFLAGS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (20s)
	@tests/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: build ## Sluice, tidb-lightning and IMPORT INTO side by side; BENCHFLAGS="-runs 1 -cases demo"
	$(BINS) go run ./tests/bench -big -json bench.json $(BENCHFLAGS)

.PHONY: bench-restore
bench-restore: build ## RESTORE beside tidb-lightning (a dump) and br (an archive), 10,000 tables of 10 rows and one of 10 GiB; BENCHFLAGS="-tables 1000 -large 1024"
	$(BINS) go run ./tests/restorebench -json bench-restore.json $(BENCHFLAGS)

.PHONY: bench-compare
bench-compare: build ## this tree and BASE=<rev> side by side, ratios of the one to the other; BENCHFLAGS="-cases demo"
	@tests/bench/compare.sh "$(BASE)" $(BENCHFLAGS)

.PHONY: bench/stages
bench/stages: build ## where each CPU second of an import goes, beside what this machine can do at most
	$(BINS) go run ./tests/bench -profile 30 -runs 5 $(BENCHFLAGS)

.PHONY: bench/growth
bench/growth: build ## Sluice's own part of an import of 0.1, 1 and 10 GiB: time, memory, disk
	$(BINS) go run ./tests/bench -growth $(BENCHFLAGS)

.PHONY: bench/go
bench/go: ## Go benchmarks of the hot paths; BENCH=regexp picks
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(PRODUCT)

.PHONY: lint
lint: ## golangci-lint with the house rules (imports point one way)
	go run $(GOLANGCI) run

.PHONY: clean
clean: ## remove what make built
	rm -rf $(BIN) .cache
