# Ghostroute. `make help` lists what there is.
SHELL       := bash
.SHELLFLAGS := -o pipefail -c
GO          ?= go
GOFLAGS     += -mod=readonly
export GOFLAGS

STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
ARTIFACTS   ?= $(CURDIR)/artifacts
COLOUR      := $(shell [ -t 1 ] && [ -z "$$NO_COLOR" ] && echo always || echo never)

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

incident: ## the incident, told as it happens, on real parts
	@mkdir -p $(ARTIFACTS)
	@GHOSTROUTE_COLOUR=$(COLOUR) $(GO) test ./scenarios -run '^TestIncident$$' -count=1 -v -artifacts -outputdir $(ARTIFACTS) \
		| sed -u -E '/^=== (RUN|PAUSE|CONT|NAME)/d; s/^    //'

test: ## every test
	$(GO) test ./...

race: ## every test under the race detector
	$(GO) test -race ./...

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	GOFLAGS= $(GO) run $(STATICCHECK) ./...

bench: ## what it costs: boot, close, a cache hit with and without provenance
	$(GO) test ./harness/... -run '^$$' -bench . -benchtime 20x

.PHONY: help incident test race lint bench
