// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace connx {

/// What is wrong with the file.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Where a tensor's `raw_data` lies in the file.
struct RawData {
  uint64_t offset;
  uint64_t size;
};

/// The number of the field `attribute_proto` of a FunctionProto.
constexpr int attributeDefaults = 11;

/// A serialised ModelProto with only the fields that the loader reads, and with each tensor's `raw_data`
/// replaced by the bytes of a `RawData`: protobuf then neither copies weights nor touches their pages.
///
/// What it returns is bounded: nesting, and the number of messages and texts, so that a small hostile file
/// cannot make protobuf allocate much. Throws `Malformed`.
std::string skeleton(const uint8_t *bytes, size_t size);

}  // namespace connx
