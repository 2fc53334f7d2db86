# make demo      build, classify and explain photographs, write overlays and a report
# make test      everything; installs what is missing
# make bench     time Limpid beside ONNX Runtime and OpenVINO
# make conformance   compare with ONNX Runtime on what PyTorch exports: docs/conformance.md
# make sanitize  the tests under the address and thread sanitizers, and valgrind
# make install   PREFIX=/usr/local DESTDIR= LIBDIR=lib; make uninstall takes it out again
# make wheel     a Python wheel for any Linux of glibc 2.34: build/wheel
# make dist      an archive of library, header and program that runs without anything installed: build/dist
.PHONY: all dependencies build python demo test bench conformance sanitize install uninstall wheel dist clean

PREFIX ?= /usr/local
LIBDIR ?= lib

all: build

dependencies:
	scripts/install-dependencies

# What compiling needs; installs only what is missing.
build:
	scripts/install-dependencies --build
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
	LIBDIR=$(LIBDIR) scripts/install "$(DESTDIR)$(PREFIX)"

uninstall:
	LIBDIR=$(LIBDIR) scripts/install --uninstall "$(DESTDIR)$(PREFIX)"

wheel: dependencies build
	scripts/wheel

dist: dependencies build
	scripts/dist

clean:
	rm -rf .build .venv
