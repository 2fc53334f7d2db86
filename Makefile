# make demo      build, classify and explain photographs, write overlays and a report
# make test      everything; installs what is missing
# make bench     time Limpid beside ONNX Runtime and OpenVINO
# make conformance   compare with ONNX Runtime on what PyTorch exports: docs/conformance.md
# make sanitize  the tests under the address and thread sanitizers, and valgrind
# make install   PREFIX=/usr/local DESTDIR=
.PHONY: all dependencies build python demo test bench conformance sanitize install clean

PREFIX ?= /usr/local

all: build

dependencies:
	scripts/install-dependencies

build: dependencies
	swift build -c release --product limpid
	swift build -c release --product limpid-cli

# The two Python packages, in the environment under .venv.
python: dependencies build
	LIMPID_LIBRARY=$(CURDIR)/.build/release/liblimpid.so .venv/bin/pip install -q ./bindings/python ./converters

demo: build python
	examples/photos/demo

test: build python
	scripts/check

bench: build python
	benchmarks/run

sanitize: dependencies
	scripts/sanitize

conformance: build python
	scripts/conformance

install:
	scripts/install "$(DESTDIR)$(PREFIX)"

clean:
	rm -rf .build .venv
