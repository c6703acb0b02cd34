# Everything that is done with this tree. It needs Go and make; the rest is fetched by the go command, or by `make deps`.

GO ?= go
FUZZTIME ?= 10s
CASES ?=
BENCH ?=
KEEP ?=
DEMO ?= queue
IMAGE ?=

# The control plane of the module e2e and the autoscaler that the tests start are compiled with -trimpath and without cgo;
# what shares their packages is, too, or the packages are compiled twice.
FLAGS := CGO_ENABLED=0 GOFLAGS="$$($(GO) env GOFLAGS) -trimpath"
E2E := cd e2e && $(FLAGS)
# A recipe becomes the program that does the work, so that a signal to make reaches it.
RUN := exec env $(FLAGS) e2e/tools/run.sh

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z0-9-]*:.*## / {printf "  %-13s%s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build bin/autoscaler.
	$(GO) build -trimpath -o bin/autoscaler ./cmd/autoscaler

.PHONY: image
image: ## Write the container image for amd64 and arm64 to build/autoscaler.oci.tar, and print its digest; IMAGE=… names it. It needs no container engine.
	@$(E2E) $(GO) run ./cmd/image -o ../build/autoscaler.oci.tar $(if $(IMAGE),-name $(IMAGE))

# The packages of e2e beside the field cases, which the command cases runs; and those of them with tests named TestSoak…,
# which make soak runs and make e2e does not.
OTHERS := $$(cd e2e && $(GO) list ./... | grep -v '/cases$$')
SOAKED := $$(cd e2e && grep -rl --include='*_test.go' '^func TestSoak' . | grep -v '^./cases/' | xargs -n 1 dirname | sort -u)

.PHONY: test
test: deps ## Run every check but soak, in about a quarter of an hour: unit, lint and e2e. All run and report, whichever fails.
	@$(MAKE) --no-print-directory -k unit lint e2e
	@echo "== all checks passed"

# Four packages at a time, since many tests wait for a server; the longest ones start first.
.PHONY: unit
unit: deps ## Run the tests of the root module, with the race detector and in random order.
	@echo "== make unit"
	@exec e2e/tools/run.sh gotest -C .. -- -p 4 -race -shuffle=on ./scaling/scalingtest/... ./...

.PHONY: e2e
e2e: deps controlplane ## Run the field cases and the other tests on a real control plane, except those that take long.
	@$(MAKE) --no-print-directory -k e2e-cases e2e-others

.PHONY: e2e-cases e2e-others
e2e-cases:
	@echo "== make e2e: field cases"
	@$(RUN) cases -in test
e2e-others:
	@echo "== make e2e: other tests"
	@$(RUN) gotest -- -count=1 -p 1 -timeout 15m -skip '^TestSoak' $(OTHERS)

.PHONY: soak
soak: deps controlplane ## Run what takes long by nature, in about 20 minutes: fleets, bursts, permissions, installs, the image.
	@$(MAKE) --no-print-directory -k soak-cases soak-others

.PHONY: soak-cases soak-others
soak-cases:
	@echo "== make soak: field cases"
	@$(RUN) cases -in soak
soak-others:
	@echo "== make soak: other tests"
	@$(RUN) gotest -- -count=1 -p 1 -timeout 30m -run '^TestSoak' $(SOAKED)

.PHONY: deflake
deflake: deps $(if $(CASES),controlplane) ## Run until it fails: a case, CASES=JB-12, or a unit test, PKG=./scaling/rivals TEST=TestAnHPAIsARival.
ifneq ($(CASES),)
	@$(RUN) cases -until-it-fails $(CASES)
else
	@exec e2e/tools/run.sh gotest -C .. -- -race -count=1000000 -failfast -timeout=0 -run '^$(TEST)$$' $(PKG)
endif

.PHONY: controlplane
controlplane: ## Build the control plane of the tests and cert-manager, once: about 9 minutes on 2 cores.
	@e2e/tools/run.sh controlplane

.PHONY: cases
cases: deps controlplane ## Run field cases by their IDs: make cases CASES="RS-01 GO-02"; without any, all.
	@$(RUN) cases $(CASES)

.PHONY: demo
demo: ## Watch the autoscaler on a real control plane; DEMO=cpu scales on CPU usage, KEEP=1 leaves everything running.
	@e2e/tools/deps.sh go $(if $(filter queue,$(DEMO)),redis-server)
	@exec e2e/tools/run.sh demo -story=$(DEMO) $(if $(KEEP),-keep)

.PHONY: bench
bench: deps controlplane ## Measure the autoscaler against its budgets, into build/bench.json; about 20 minutes, or 7 with BENCH=quick.
	@$(RUN) bench -o ../build/bench.json $(if $(filter quick,$(BENCH)),-quick)

.PHONY: docs
docs: ## Render the generated pages of docs.
	$(GO) run ./cmd/docs
	$(E2E) $(GO) run ./cmd/cases -docs ../docs/cases.md

.PHONY: lint
lint: ## Check style and vet, in both modules.
	@echo "== make lint"
	@e2e/tools/lint.sh run

.PHONY: fmt
fmt: ## Format the code, in both modules.
	@e2e/tools/lint.sh fmt

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s).
	@e2e/tools/fuzz.sh $(FUZZTIME)

.PHONY: deps
deps: ## Install the servers that the tests start, if they are missing.
	@e2e/tools/deps.sh

.PHONY: clean
clean: ## Remove what was built here. The control plane's programs stay in the user's cache folder.
	rm -rf bin build
