# Every target is explained by the comment behind it: `make help`.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO            ?= go
GOLANGCI      := v2.15.0
GOVULNCHECK   := v1.9.0
# As a module; its image has another number, 2.13.0: examples/stack/docker-compose.yml.
JAEGER        := v1.76.0
TOOLS         ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/taskspan/bin
JOBS          ?= 2
NEXT_GO       ?= go1.27.4
FUZZTIME      ?= 10s
BENCHFLAGS    ?=

# Modules, the root first. `cover` tests those with a coverage gate. Of integration, `test` runs the package
# that needs neither Docker nor a server: drivers.
COVERED := . telemetry
NESTED  := examples bench otdb/otpgx worker/riverworker
TOOL    := cmd/otdbvet
MODULES := $(COVERED) $(NESTED) $(TOOL) integration
# What users require: none of it may have a vulnerability.
RELEASED := $(COVERED) otdb/otpgx worker/riverworker $(TOOL)

# Every module is checked as its users get it, without the workspace.
ALONE := GOWORK=off

# $(call each,modules,command) runs the command in each module and fails at the
# end if it failed in any.
each = failed=; for module in $(1); do echo "== $$module: $(2)"; (cd $$module && $(ALONE) $(2)) || failed="$$failed $$module"; done; \
	if [ -n "$$failed" ]; then echo "failed in:$$failed" >&2; exit 1; fi

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run the main job: index this project's packages into a database, and show the traces
	@GOWORK= $(GO) run ./examples/quickstart

.PHONY: test
test: ## test every module that needs no Docker, with the race detector and the coverage gate
	@status=0; \
	$(MAKE) --no-print-directory allocs || status=1; \
	$(MAKE) --no-print-directory cover || status=1; \
	($(call each,$(NESTED),$(GO) test -race -count=1 ./...)) || status=1; \
	.ci/river || status=1; \
	($(call each,$(TOOL),$(GO) test -count=1 ./...)) || status=1; \
	($(call each,integration,$(GO) test -race -count=1 ./drivers)) || status=1; \
	exit $$status

.PHONY: next
next: ## test what a newer Go than go.mod's sees of otdb (NEXT_GO, which go fetches)
	@$(ALONE) GOTOOLCHAIN=$(NEXT_GO) $(GO) test ./otdb ./internal/fakedb

.PHONY: allocs
allocs: ## test the allocation budgets, which the race detector would spoil
	@for module in $(COVERED) otdb/otpgx; do (cd $$module && $(ALONE) $(GO) test -count=1 -v -run 'Alloc|MillionStatements' ./...) | grep -v 'no test'; done

.PHONY: cover
cover: ## test the modules with a coverage gate, with the race detector; fail where coverage is too low
	@mkdir -p .coverage
	@status=0; profiles=; \
	for module in $(COVERED); do \
		profile=$$PWD/.coverage/$${module/./root}; profiles="$$profiles $$profile"; \
		(cd $$module && $(ALONE) $(GO) test -race -covermode=atomic -coverprofile="$$profile" ./...) || status=1; \
	done; \
	.ci/coverage $$profiles || status=1; \
	exit $$status

.PHONY: lint
lint: $(TOOLS)/golangci-lint-$(GOLANGCI) ## run the linters in every module
	@$(call each,$(MODULES),$< run --allow-parallel-runners --concurrency $(JOBS) ./...)

.PHONY: vet
vet: ## run go vet in every module
	@$(call each,$(MODULES),$(GO) vet ./...)

.PHONY: otdbvet
otdbvet: ## run otdbvet in every module, as a go vet tool
	@mkdir -p $(TOOLS)
	@cd $(TOOL) && $(ALONE) $(GO) build -o $(TOOLS)/otdbvet .
	@$(call each,$(MODULES),$(GO) vet -vettool=$(TOOLS)/otdbvet ./...)

.PHONY: otdbvet-modules
otdbvet-modules: ## try otdbvet on modules that others wrote (some minutes)
	@integration/otdbvet/run

.PHONY: tidy
tidy: ## show what go mod tidy would change, and fail if it is anything
	@$(call each,$(MODULES),$(GO) mod tidy -diff)

.PHONY: vuln
vuln: ## look for known vulnerabilities that the code can reach (needs vuln.go.dev)
	@$(call each,$(RELEASED),$(GO) run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK) ./...)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	@.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## measure what tracing costs, beside the floor and the other wrappers (BENCHFLAGS=-quick for a look)
	@cd bench && $(ALONE) $(GO) run ./compare $(BENCHFLAGS)

.PHONY: integration
integration: ## test against real database servers (needs Docker)
	@TASKSPAN_JAEGER=$(wildcard $(TOOLS)/jaeger-$(JAEGER)) integration/run

.PHONY: jaeger
jaeger: $(TOOLS)/jaeger-$(JAEGER) ## test against a Jaeger, which it builds once per version (15 minutes of CPU time)
	@cd integration && $(ALONE) TASKSPAN_JAEGER=$< $(GO) test -count=1 -v -run Jaeger ./backends

$(TOOLS)/jaeger-$(JAEGER):
	@echo "building Jaeger $(JAEGER); this takes about ten minutes, once" >&2
	@integration/backends/jaeger $@ $(JAEGER)

.PHONY: selftest
selftest: $(TOOLS)/golangci-lint-$(GOLANGCI) ## show that the checks can fail
	@GOLANGCI_LINT=$< .ci/selftest

.PHONY: tools
tools: $(TOOLS)/golangci-lint-$(GOLANGCI) ## build the linter, once per version

$(TOOLS)/golangci-lint-$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI); this takes a few minutes, once" >&2
	@mkdir -p $(TOOLS)/$(GOLANGCI)
	@cd / && GOBIN=$(TOOLS)/$(GOLANGCI) GOFLAGS= GOWORK=off $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv $(TOOLS)/$(GOLANGCI)/golangci-lint $@ && rmdir $(TOOLS)/$(GOLANGCI)

.PHONY: ci
ci: ## do what the build server does, on this machine
	@.ci/run
