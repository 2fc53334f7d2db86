// SPDX-License-Identifier: Apache-2.0
//
// The encoding of Protocol Buffers: a message is a row of fields, each a key (number and encoding) and a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace connx {

/// What is wrong with the file.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Bytes {
  const uint8_t *start;
  size_t count;
};

/// Keys: the number of a field, and how it is encoded. What is encoded otherwise is an unknown field.
constexpr uint32_t varint(uint32_t number) { return number << 3; }
constexpr uint32_t fixed64(uint32_t number) { return number << 3 | 1; }
constexpr uint32_t bytes(uint32_t number) { return number << 3 | 2; }
constexpr uint32_t fixed32(uint32_t number) { return number << 3 | 5; }

struct Field {
  uint32_t key = 0;
  /// The value of a varint, or the bits of a number of fixed size.
  uint64_t number = 0;
  /// What a field with a length holds.
  Bytes content = {};
};

/// Reads bytes of a file from first to last. Throws `Malformed`, with the place, where they end too early or are not
/// what is read.
class Wire {
 public:
  Wire(const uint8_t *file, Bytes bytes) : file(file), position(bytes.start), end(bytes.start + bytes.count) {}

  bool isAtEnd() const { return position == end; }
  Field field();
  uint64_t varint();
  /// Little-endian, of four or eight bytes.
  uint64_t fixed(size_t size);

 private:
  const uint8_t *file;
  const uint8_t *position;
  const uint8_t *end;
  /// Where what is being read begins.
  const uint8_t *start = nullptr;

  uint64_t readVarint();
  uint64_t readFixed(size_t size);
  [[noreturn]] void malformed() const;
};

}  // namespace connx
