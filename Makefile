# Ghostroute. `make help` lists what there is; `artifacts/bin/ghostroute --help` says what ARGS may be.
SHELL       := bash
.SHELLFLAGS := -o pipefail -c
GO          ?= go
GOFLAGS     += -mod=readonly
export GOFLAGS

STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2

# A variable on the command line that does nothing is a typo.
VARIABLES := ARGS N PACE IN PARALLEL ETCD CELLS GO GOFLAGS STATICCHECK
UNKNOWN   := $(filter-out $(VARIABLES),$(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v)))
$(if $(UNKNOWN),$(error there is no variable $(UNKNOWN): there are $(VARIABLES); flags are given as in make explore ARGS="--fix ttl"))

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# The one command. It is built and run: "go run" would keep signals and exit codes to itself.
GHOSTROUTE := artifacts/bin/ghostroute

build:
	@mkdir -p artifacts/bin && $(GO) build -o $(GHOSTROUTE) ./harness/cmd/ghostroute

incident: ## the incident, told as it happens, on real parts
matrix:   ## every scenario against every fix, and the page that shows it
merge:    ## one report of a matrix' shards: make merge ARGS="--junit matrix.xml shards/1 shards/2"
verdicts: ## accept what the matrix finds as expected: look at git diff afterwards
explore:  ## look for a plan that breaks a promise: make explore ARGS="--fix ttl --time 60s"
soak:     ## run plans for long, the model held to each step; goes on where the last soak stopped
stress:   ## the incident and the tests again and again on a busy machine: make stress ARGS="--incidents 30 --suites 0 --race 0"
agree:    ## hold the model to real members and proxies
claims:   ## try to refute what each fix claims; writes fixtures/found/claims.md
causes:   ## find every cause anew; writes fixtures/found
versions: ## every cause, and its own etcdctl, on etcd 3.4 to 3.8 as processes, built first; writes fixtures/versions.md
bench-cache: ## what a proxy's cache is worth: variants side by side; writes fixtures/bench-cache.md and .svg
mutants:  ## change etcd's proxy, and our own code, a line at a time: each must be noticed (ARGS=--resume goes on)
etcd:     ## an etcd whose grpc-proxy can have a cache that does not lie, in artifacts/bin; ARGS="--out FOLDER"
patches:  ## apply our patches for etcd one by one, test each, and see which cells move; ARGS=--write keeps the table

# PARALLEL=N is the most trials at a time.
matrix verdicts: override ARGS += $(if $(PARALLEL),--parallel $(PARALLEL))
incident matrix merge verdicts explore soak stress agree claims causes versions mutants etcd patches bench-cache: build
	@exec $(GHOSTROUTE) $@ $(ARGS)

N ?= 1
CHAPTER = $(N) $(if $(IN),--in $(IN)) $(if $(PACE),--pace $(PACE)) $(ARGS)

notebook: build ## one chapter, played slowly: make notebook N=3 (PACE=0 all at once, IN=zh-CN in Chinese)
	@exec $(GHOSTROUTE) notebook $(CHAPTER)

notebook-write: build ## run a chapter and write down what it printed: make notebook-write N=3 (IN=zh-CN)
	@exec $(GHOSTROUTE) notebook $(CHAPTER) --write

notebook-help: build ## every command of the notebooks
	@exec $(GHOSTROUTE) notebook --commands

notebooks: ## every chapter, as the tests run them
	$(GO) test ./scenarios -run '^TestNotebook' -count=1

# What tests tried again, and why: go test shows that of a package that fails only.
AGAIN := artifacts/test/again.txt

# The parts' tests mostly wait: one package more at a time than there are cores, and more than a test each.
WAITING := -parallel 8 -p $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

test: ## every test
	@rm -f $(AGAIN)
	$(GO) test $(WAITING) -timeout 30m ./harness/... ./scenarios/beyond ./scenarios/clients
	$(GO) test -timeout 30m ./scenarios
	@[ ! -e $(AGAIN) ] || { echo "made again, for a premise that was broken:"; cat $(AGAIN); }

# Under the race detector a heap of garbage costs several times its size: collected sooner, it is less, and no slower.
RACE := $(GO) test -race -exec "env GOGC=25"
race: ## every test under the race detector; of the matrix one cell in twelve, with ARGS=-every all
	$(RACE) -timeout 20m ./harness/... ./scenarios/beyond ./scenarios/clients
	$(RACE) -timeout 40m ./scenarios $(ARGS)

# What members and proxies are in "make real", and the cells of the matrix that it tries.
ETCD  ?= 3.7
CELLS ?= (deregister-elsewhere|crash|revoke-same|nested-txn|phantom-restart|read-during-write|lagging-member|$\
	proxy-restarted|from-key|identity-cached)/(none|ordering)
real: export GHOSTROUTE_ETCD := $(ETCD)
real: build ## the parts, the incident, ten scenarios, every cause and the drop-in on processes of etcd, and behind HAProxy: make real ETCD=3.5
	$(GO) test -tags real -parallel 2 -timeout 15m ./harness/etcd ./harness/proxy ./harness/balancer ./harness/stage \
		./harness/cmd/ghostroute ./harness/dropin ./harness/probe
	$(GO) test -tags real -parallel 2 -timeout 15m ./harness -run '^(TestAttached|TestWhatIs|TestEndpoints|TestACleanUp)'
	$(GO) test -tags real -parallel 2 -timeout 15m ./scenarios -run '^(TestIncident|TestBehindHAProxy|TestAPlanBehindHAProxy|TestAPlanOnProcessesEnds|TestFoundPlans|TestTheOneLinerHeals)$$'
	$(GO) test -tags real -timeout 60m ./scenarios -run '^TestMatrix$$/^$(CELLS)$$'
	$(GHOSTROUTE) etcd
	$(GHOSTROUTE) matrix --on real --etcd $(ETCD) --proxy artifacts/bin/etcd --fix revalidate --out artifacts/drop-in

period: ## hold today's etcd client to the one that the incident had, built first; writes fixtures/period.md
	$(GO) test -tags real -timeout 10m ./harness/compat
	$(GO) test -tags real -parallel 4 -timeout 10m ./scenarios -run '^TestPeriod' -update

survivors: ## which of go-micro v2's defects v3, v4 and v5 have, each built first; writes fixtures/survivors.md
	$(GO) test -tags real -timeout 15m ./harness/survivors -run '^TestSurvivors$$' -update

page: ## the matrix' page, tested in a headless Chromium
	cd harness/report/browser && $(GO) test ./...

lint: ## gofmt, lines of 120 columns, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; }
	@! LC_ALL=C.UTF-8 git grep -nE '^.{121,}' -- '*.go'
	$(GO) vet ./...
	$(GO) vet -tags real ./...
	GOFLAGS= $(GO) run $(STATICCHECK) -tags real ./...
	GOFLAGS= $(GO) run $(STATICCHECK) ./...

bench: ## what it costs: boot, close, a cache hit with provenance and without
	$(GO) test ./harness/... -run '^$$' -bench . -benchtime 20x

.PHONY: help build incident matrix merge verdicts explore soak stress agree claims causes versions mutants etcd \
	patches bench-cache notebook notebook-write notebook-help notebooks test race real period survivors page lint bench
