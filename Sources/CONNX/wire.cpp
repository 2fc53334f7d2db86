// SPDX-License-Identifier: Apache-2.0
#include "wire.h"

#include <string>

namespace connx {

Field Wire::field() {
  start = position;
  const uint64_t key = readVarint();
  if (key > UINT32_MAX || key >> 3 == 0) malformed();
  Field field;
  field.key = static_cast<uint32_t>(key);
  switch (key & 7) {
    case 0: field.number = readVarint(); break;
    case 1: field.number = readFixed(8); break;
    case 2: {
      const uint64_t count = readVarint();
      if (count > static_cast<size_t>(end - position)) malformed();
      field.content = {position, static_cast<size_t>(count)};
      position += count;
      break;
    }
    case 5: field.number = readFixed(4); break;
    default: malformed();  // ONNX has no groups.
  }
  return field;
}

uint64_t Wire::varint() {
  start = position;
  return readVarint();
}

uint64_t Wire::fixed(size_t size) {
  start = position;
  return readFixed(size);
}

/// Seven bits a byte, the least significant first; bits beyond 64 are dropped.
uint64_t Wire::readVarint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (position == end) malformed();
    const uint8_t byte = *position++;
    if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  malformed();
}

uint64_t Wire::readFixed(size_t size) {
  if (static_cast<size_t>(end - position) < size) malformed();
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++) value |= static_cast<uint64_t>(position[i]) << (8 * i);
  position += size;
  return value;
}

void Wire::malformed() const {
  throw Malformed(
    "this is not an ONNX model: unreadable data at byte " + std::to_string(start - file)
    + " (the file may be incomplete)");
}

}  // namespace connx
