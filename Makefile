# `make up` and `make test` are all that most people need; `make help` lists the rest.

SHELL := /bin/bash
# One setting for builds, tests and linters, so that they share compiled packages.
export CGO_ENABLED := 0
BIN := $(CURDIR)/bin
VERSION ?= v$(shell date -u +%Y%m%d)-$(shell git rev-parse --short=10 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X prow/internal/service.version=$(VERSION)
UTILITIES := clonerefs initupload entrypoint sidecar gcsupload
PKG ?= ./...
FLAGS ?=
BENCH ?= .
FUZZ ?= .
FUZZTIME ?= 10s
SOAK ?= 1h
# This repository is called prow on the forge, whatever its directory is called.
NAME := $(if $(findstring --repo,$(FLAGS)),,--repo-name prow)

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build all programs into bin/
	@mkdir -p $(BIN)
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/prow ./cmd/prow
	go build -ldflags '-s -w' -o $(BIN)/ $(addprefix ./cmd/,$(UTILITIES))
	go build -C standalone -ldflags '$(LDFLAGS)' -o $(BIN)/prow-standalone ./cmd/prow-standalone

.PHONY: up
up: build ## Run all of Prow on this machine, with this repository on its forge
	$(BIN)/prow-standalone up $(NAME) $(FLAGS)

.PHONY: demo
demo: build ## Do the same and play a story: from a pull request to its merge
	$(BIN)/prow-standalone demo $(NAME) $(FLAGS)

.PHONY: test
test: build lint ## Run linters and all tests
	PROW_BIN=$(BIN) PROW_STANDALONE_BIN=$(BIN)/prow-standalone go test -timeout 20m $(PKG)
	PROW_BIN=$(BIN) PROW_STANDALONE_BIN=$(BIN)/prow-standalone go test -C standalone -timeout 20m ./...
	PROW_BIN=$(BIN) PROW_STANDALONE_BIN=$(BIN)/prow-standalone go test -C test/deploy -timeout 20m ./...

.PHONY: test-deploy
test-deploy: build ## Check manifests, chart, alerts, and that components run with what stands there
	PROW_BIN=$(BIN) PROW_STANDALONE_BIN=$(BIN)/prow-standalone go test -C test/deploy -count 1 -v -timeout 20m ./...

.PHONY: test-browser
test-browser: build ## Let a real browser (chromium, npm) use the pages; screenshots go to artifacts/
	npm --prefix test/browser ci --no-audit --no-fund
	@mkdir -p $(CURDIR)/artifacts/screenshots
	PROW_TEST_BROWSER=1 SCREENSHOTS=$(CURDIR)/artifacts/screenshots PROW_STANDALONE_BIN=$(BIN)/prow-standalone go test -count 1 -p 1 -v -run TestBrowser ./internal/deck ./internal/deck/lens

.PHONY: test-storage
test-storage: ## Run the clients of GCS and S3 on servers of others (many dependencies; not part of test)
	go test -C test/storage ./...

.PHONY: race
race: build ## Run the tests with the race detector
	CGO_ENABLED=1 PROW_BIN=$(BIN) PROW_STANDALONE_BIN=$(BIN)/prow-standalone go test -race -timeout 30m $(PKG)

.PHONY: fuzz
fuzz: ## Let the fuzz tests, or those that FUZZ names, look for new inputs, FUZZTIME (10s) each
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' api internal standalone); do \
		module=.; dir=$${file%/*}; case $$dir in standalone/*) module=standalone; dir=$${dir#standalone/};; esac; \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file | grep -E "$(FUZZ)" || true); do \
			echo "== $$name in $$file"; \
			go test -C $$module -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) ./$$dir; \
		done; \
	done

.PHONY: soak
soak: ## Ask a ghproxy for ever new things for an hour, or SOAK=30m, and watch its memory and disk
	SOAK=$(SOAK) go test -run TestMemoryAndDiskStayBounded -count 1 -v -timeout 0 ./internal/ghproxy

.PHONY: bench
bench: build ## Run the headline benchmarks, or those that BENCH names; the method stands in test/bench
	PROW_BIN=$(BIN) PROW_STANDALONE_BIN=$(BIN)/prow-standalone go test -run '^$$' -bench "$(BENCH)" -benchtime 1x -timeout 30m -v ./test/bench/...

.PHONY: lint
lint: ## Check formatting and run go vet and staticcheck
	@test -z "$$(gofmt -l api cmd internal standalone test tools)" || { gofmt -l api cmd internal standalone test tools; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go vet -C standalone ./...
	go vet -C test/deploy ./...
	go build -C tools -o $(BIN)/staticcheck honnef.co/go/tools/cmd/staticcheck
	$(BIN)/staticcheck ./...
	cd standalone && $(BIN)/staticcheck ./...
	go vet -C tools/images ./...
	cd tools/images && $(BIN)/staticcheck ./...
	cd test/deploy && $(BIN)/staticcheck ./...

.PHONY: generate
generate: ## Write generated code and manifests again
	cd tools && go run ./crdgen
	go run ./internal/reference/gen
	go run ./internal/plugins/pages/gen

.PHONY: simulate
simulate: ## Play all scenarios of the merge queue and write docs/tide-simulation.md with the figures
	go run ./internal/tide/simulate/gen

.PHONY: simulate-million
simulate-million: ## Merge a million pull requests in the simulator, with crashes and faults, and expect no violation
	PROW_SIMULATE_MERGES=1000000 go test -count 1 -v -timeout 4h -run TestNothingUnprovenIsEverMerged ./internal/tide/simulate

# IMAGES may name some; the rest of the list is in deploy/images/images.yaml.
IMAGES ?=
IMAGES_OUT := $(CURDIR)/artifacts/images

.PHONY: images
images: ## Build the container images, or those that IMAGES names, into artifacts/images
	go build -C tools/images -o $(BIN)/images .
	$(BIN)/images build --root $(CURDIR) --out $(IMAGES_OUT) $(IMAGES)

.PHONY: images-test
images-test: images ## Look into the container images and run them (as root)
	PROW_IMAGES=$(IMAGES_OUT) PROW_IMAGES_SOME=$(if $(IMAGES),1,) go test -C tools/images -count 1 ./...

.PHONY: images-push
images-push: ## Build the container images and push them to REGISTRY (host/path), with further tags TAGS=a,b
	@test -n "$(REGISTRY)" || { echo "name a registry: make images-push REGISTRY=registry.example.com/prow"; exit 1; }
	go build -C tools/images -o $(BIN)/images .
	$(BIN)/images push --root $(CURDIR) --tag "$(TAGS)" $(REGISTRY) $(IMAGES)

.PHONY: images-lock
images-lock: ## Pin the newest Debian packages for the container images
	go build -C tools/images -o $(BIN)/images .
	$(BIN)/images lock --root $(CURDIR)

.PHONY: images-reproducible
images-reproducible: ## Build the container images of the commit in two fresh clones and compare every byte
	go build -C tools/images -o $(BIN)/images .
	@set -e; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	for place in one a/second/place; do \
		git clone --quiet $(CURDIR) $$tmp/$$place/source; \
		$(BIN)/images build --root $$tmp/$$place/source --out $$tmp/$$place/images $(IMAGES); \
	done; \
	diff -r $$tmp/one/images $$tmp/a/second/place/images && echo "The same commit made the same images twice."

.PHONY: clean
clean: ## Remove what was built and the state of `make up`
	rm -rf $(BIN) .state artifacts
