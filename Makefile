.PHONY: test
test:
	scripts/install-dependencies
	swift build
