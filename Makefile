# Every target is one idea; longer things are Go programs. `make` lists them.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# flags of one run: make fuzz T=2m, make bench ARGS='-seconds 10', make image TAG=dosewire:test
T    ?= 20s
N    ?= 100000
ARGS ?=
TAG  ?= dosewire:dev

export GOFLAGS ?= -trimpath

.PHONY: help run test test-short mutate browser bench soak fuzz lint generate build image check clean postgres

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

# Not go run, which answers Ctrl-C with an error although the program ended well.
run: build ## play a day between clinics, pharmacies and patients, then keep serving
	exec dist/dosewire demo

test: postgres ## run every test, with a real PostgreSQL and NATS
	go test ./...
	cd tests/outside && go test ./...

test-short: ## run what needs no servers of its own
	go test -short ./...

mutate: ## change every condition and guard of the state machine; a test must fail for each
	go test ./fhir/rx -run '^Test(Mutants|EveryCellMatters)$$' -mutate -v -count=1 -timeout 60m

browser: ## look at the inbox in headless Chromium
	go test -tags browser -count=1 ./adapters/...

bench: postgres ## measure recorded prescriptions beside bare references; prints ratios
	go run ./internal/bench $(ARGS)

soak: postgres ## let four recorders fight over one database for N=100000 messages
	SOAK_MESSAGES=$(N) go test ./internal/soak -run '^TestFourRecordersFight$$' -count=1 -v -timeout 60m

fuzz: ## run every fuzz target for T=20s each
	@for pkg in $$(go list ./...); do \
		for name in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$name"; go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(T) $$pkg; \
		done; \
	done

lint: ## gofmt, go vet, staticcheck
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "gofmt these:"; echo "$$bad"; exit 1; fi
	go vet ./...
	go vet -tags browser ./adapters/...
	cd tests/outside && go vet ./...
	go tool staticcheck ./...

generate: ## make generated files anew
	go generate ./...

build: ## build dist/dosewire, static
	CGO_ENABLED=0 go build -ldflags '-s -w' -o dist/dosewire ./cmd/dosewire

image: ## build the container image TAG=dosewire:dev
	docker build -f deploy/Dockerfile -t $(TAG) .

check: lint test browser ## all that CI does

clean: ## remove what was built
	rm -rf dist

# The tests start PostgreSQL themselves; they only need its programs. As root on Debian or Ubuntu they
# are installed; for anybody else the exact command is named.
postgres:
	@if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "PostgreSQL is missing: installing it for the tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; \
	else \
		echo "PostgreSQL is missing. Install it, then run make again:"; \
		echo "    sudo apt-get install -y postgresql        (Debian, Ubuntu)"; \
		echo "    brew install postgresql@17                (macOS)"; \
		exit 1; \
	fi
