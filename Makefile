# lab: build, test, measure. `make up` and `make test` are all that a newcomer needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

CLUSTER ?= lab
BINARY := .build/release/lab
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# What the binary links, statically; libxml2 and ICU only because Debian's libarchive refers to them.
PACKAGES := libdeflate-dev libssl-dev libsqlite3-dev libseccomp-dev libarchive-dev libyaml-dev \
    libacl1-dev libattr1-dev libzstd-dev liblz4-dev liblzma-dev libbz2-dev zlib1g-dev libxml2-dev nettle-dev libgmp-dev
# What only the tests use: real programs to compare with and to run in containers.
TEST_PACKAGES := busybox-static nftables iproute2 curl openssl python3-venv docker-registry skopeo umoci apache2-utils
# Programs for Kubernetes that the tests run against the API server, out of the way of the system's own.
CLIENTS := .build/clients
# Debian's kubectl is some years old: tests of streams use it too. Unpacked only, since a newer one may be installed.
OLD_KUBECTL := .build/debian/kubectl

.PHONY: up build test test-only test-kubectl fuzz soak bench fmt check conformance behaviours clean packages test-packages test-clients help

help:
	@echo "make up           build lab and create a cluster"
	@echo "make test         run every test"
	@echo "make fuzz         attack every parser; SECONDS=N each (default 30), SEED=N repeats a run, ONLY=NAME one of them"
	@echo "make soak         kill parts of a cluster at random under a churn of pods; SECONDS=N (default 600), PODS=N (100), SEED=N repeats a run"
	@echo "make build        build the release binary ($(BINARY))"
	@echo "make bench        measure, and print one table; JSON=FILE keeps it, COMPARE=FILE sets it beside a kept one, QUICK=1, ONLY=api|scheduling|clusters|pods|names|network|images|containers|controllers"
	@echo "make conformance  run the scenarios against the cluster '$(CLUSTER)'; HTML=FILE and JUNIT=FILE keep reports"
	@echo "make behaviours   write the pages of Conformance/ that are printed: behaviours, language, schema"
	@echo "make fmt          format; make check  formatter's verdict, the tidy test, and with LAB_REFERENCE the published types"
	@echo "make clean        remove what was built"

packages:
	@missing=""; for p in $(PACKAGES); do \
	    [ "$$(dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	    echo "==> installing Debian packages:$$missing"; \
	    $(SUDO) apt-get -o Acquire::Retries=3 update -qq; \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

test-packages:
	@missing=""; for p in $(TEST_PACKAGES); do \
	    [ "$$(dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	    echo "==> installing what the tests need:$$missing"; \
	    $(SUDO) apt-get -o Acquire::Retries=3 update -qq; \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

build: packages
	@echo "==> building the release binary (some minutes the first time)"
	swift build -c release --static-swift-stdlib --product lab
	@ls -lh $(BINARY) | awk '{print "==> $(BINARY), " $$5}'

up: build
	@$(SUDO) $(BINARY) list --json | grep -q '"name":"$(CLUSTER)"' \
	    && { echo "==> cluster '$(CLUSTER)' exists already"; $(SUDO) $(BINARY) list; } \
	    || $(SUDO) $(BINARY) create $(CLUSTER)

# Without a package index the tests that need these skip, and say so.
test-clients: test-packages
	@cmp -s Fixtures/clients/requirements.txt $(CLIENTS)/installed || { \
	    echo "==> installing what speaks to the API server in the tests"; rm -rf $(CLIENTS); \
	    python3 -m venv $(CLIENTS) \
	    && $(CLIENTS)/bin/pip install -q --disable-pip-version-check -r Fixtures/clients/requirements.txt \
	    && cp Fixtures/clients/requirements.txt $(CLIENTS)/installed \
	    || { rm -rf $(CLIENTS); echo "==> they could not be installed: tests that need them skip"; }; \
	}

test-kubectl:
	@[ -x $(OLD_KUBECTL) ] || { \
	    echo "==> unpacking Debian's kubectl"; rm -rf $(dir $(OLD_KUBECTL)); mkdir -p $(dir $(OLD_KUBECTL)) && cd $(dir $(OLD_KUBECTL)) \
	    && { apt-get download -qq kubernetes-client 2>/dev/null || { $(SUDO) apt-get update -qq && apt-get download -qq kubernetes-client; }; } \
	    && dpkg-deb --fsys-tarfile kubernetes-client_*.deb | tar -xO ./usr/bin/kubectl >kubectl.part \
	    && rm kubernetes-client_*.deb && chmod 755 kubectl.part && mv kubectl.part kubectl \
	    || echo "==> it could not be had: tests use the kubectl in the PATH alone"; \
	}

test: packages test-packages test-clients test-kubectl build test-only

# The scenarios have the machine to themselves: each waits for real processes, and hundreds of other tests would
# make it wait longer than it allows. Shown is what fails or is skipped, and how far the run is; all that was printed
# is kept in .build/test-output.
SHOWN := awk '/^◇ Test case/ { inside = !/started\.$$/; next } inside { inside = !/started\.$$/; next } \
    /^✔ Test run with/ { print; next } /^✔ Test / { if (++done % 100 == 0) print "    " done " tests have passed"; fflush(); next } \
    /^◇|^✔/ { next } { print; fflush() }'
test-only:
	@run() { LAB_BINARY=$(abspath $(BINARY)) swift test "$$@" 2>&1 | tee .build/test-output | $(SHOWN) || { \
	    echo "==> what failed:"; grep -A 20 'recorded an issue' .build/test-output | cut -c 1-600 | tail -n 120; exit 1; }; }; \
	echo "==> running the tests"; run --parallel --skip SuiteTests; \
	echo "==> running the scenarios"; run --skip-build --filter SuiteTests

# SECONDS is a variable of the shell too, so the value travels under another name.
fuzz: packages
	@echo "==> building the tests"
	swift build --build-tests
	LAB_FUZZ_SECONDS=$(if $(SECONDS),$(SECONDS),30) $(if $(SEED),LAB_FUZZ_SEED=$(SEED)) $(if $(ONLY),LAB_FUZZ_ONLY=$(ONLY)) \
	    swift test --skip-build --filter FuzzTests

soak: build
	@echo "==> building the tests"
	swift build --build-tests
	$(SUDO) env LAB_BINARY=$(abspath $(BINARY)) LAB_CHAOS_SECONDS=$(if $(SECONDS),$(SECONDS),600) LAB_CHAOS_PODS=$(if $(PODS),$(PODS),100) \
	    $(if $(SEED),LAB_CHAOS_SEED=$(SEED)) swift test --skip-build --filter ChaosTests

bench: build
	@echo "==> building the bench"
	swift build -c release --static-swift-stdlib --product lab-bench
	@$(SUDO) env LAB_BINARY=$(abspath $(BINARY)) .build/release/lab-bench \
	    $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON)) $(if $(COMPARE),--compare $(COMPARE))

fmt:
	swift format -i -r -p Sources Tests Package.swift

check:
	swift format lint -s -r -p Sources Tests Package.swift
	swift test --filter 'TidyTests|KindsTests.ReferenceTests'

conformance: build
	$(SUDO) $(BINARY) conformance --cluster $(CLUSTER) $(if $(HTML),--html $(HTML)) $(if $(JUNIT),--junit $(JUNIT))

# With any binary that was built from this checkout.
LAB ?= $(BINARY)
behaviours:
	@for page in 'behaviours --page:BEHAVIOURS.md' 'reference:LANGUAGE.md' 'schema:scenario.schema.json'; do \
	    $(LAB) conformance --$${page%%:*} > Conformance/.page; mv Conformance/.page Conformance/$${page##*:}; done
	@echo "==> Conformance/BEHAVIOURS.md, LANGUAGE.md and scenario.schema.json are as the scenarios are"

clean:
	rm -rf .build out
