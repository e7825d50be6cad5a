# Ghostroute. `make help` lists what there is.
SHELL       := bash
.SHELLFLAGS := -o pipefail -c
GO          ?= go
GOFLAGS     += -mod=readonly
export GOFLAGS

STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
ARTIFACTS   ?= $(CURDIR)/artifacts
export GHOSTROUTE_COLOUR ?= $(shell [ -t 1 ] && [ -z "$$NO_COLOR" ] && echo always || echo never)

# Trials mostly wait: for leases, for a memory to lapse. More of them than there are cores may run at a time.
PARALLEL    ?= 12

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# The one command. It is built and then run, not "go run", which keeps signals and exit codes to itself.
GHOSTROUTE := artifacts/bin/ghostroute

build:
	@mkdir -p $(dir $(GHOSTROUTE)) && $(GO) build -o $(GHOSTROUTE) ./harness/cmd/ghostroute

incident: build ## the incident, told as it happens, on real parts
	@exec $(GHOSTROUTE) $@ $(ARGS)

test: ## every test
	$(GO) test -timeout 10m ./harness/...
	$(GO) test -parallel $(PARALLEL) -timeout 10m ./scenarios

race: ## every test under the race detector
	$(GO) test -race -timeout 20m ./harness/...
	$(GO) test -race -parallel 3 -timeout 40m ./scenarios

matrix: build ## every scenario against every fix, and the page that shows it
	@exec $(GHOSTROUTE) $@ $(ARGS)

N ?= 1

notebook: build ## one chapter, played slowly: make notebook N=3 ARGS="--pace 0 --in zh-CN"
	@exec $(GHOSTROUTE) $@ $(N) $(ARGS)

notebooks: ## every chapter, as the tests run them
	$(GO) test ./scenarios -run '^TestNotebook' -count=1 -parallel $(PARALLEL)

notebook-write: build ## run a chapter and write down what it printed: make notebook-write N=3
	@exec $(GHOSTROUTE) notebook $(N) --write $(ARGS)

notebook-help: build ## every command of the notebooks
	@exec $(GHOSTROUTE) notebook --commands

explore: build ## look for a plan that breaks a promise, or replay one: make explore ARGS="--fix ttl --time 60s"
	@exec $(GHOSTROUTE) $@ $(ARGS)

soak: build ## run plans for long, the model held to each step; goes on where the last soak stopped
	@exec $(GHOSTROUTE) $@ $(ARGS)

claims: build ## try to refute what each fix claims; writes fixtures/found/claims.md
	@exec $(GHOSTROUTE) $@ $(ARGS)

causes: build ## find every cause anew on real benches; writes fixtures/found
	@exec $(GHOSTROUTE) $@ $(ARGS)

agree: build ## hold the model to real benches
	@exec $(GHOSTROUTE) $@ $(ARGS)

verdicts: build ## accept what the matrix finds as expected: look at git diff afterwards
	@exec $(GHOSTROUTE) $@ $(ARGS)

page: ## the matrix' page, tested in a headless Chromium
	cd harness/report/browser && $(GO) test ./...

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	GOFLAGS= $(GO) run $(STATICCHECK) ./...

bench: ## what it costs: boot, close, a cache hit with provenance and without
	$(GO) test ./harness/... -run '^$$' -bench . -benchtime 20x

.PHONY: help build incident test race matrix notebook notebooks notebook-write notebook-help explore soak claims causes agree verdicts page lint bench
