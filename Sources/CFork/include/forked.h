// SPDX-License-Identifier: Apache-2.0
//
// Nothing to call. The shared library is linked with `--wrap` (Package.swift): where the Swift runtime inside of it
// takes a lock or initialises something once, what is wrapped here is called, so that no fork falls between. A child would
// else wait for ever for a thread that it does not have.
