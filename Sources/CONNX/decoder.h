// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "messages.h"
#include "wire.h"

namespace connx {

/// Reads a serialised ModelProto, and of that only the fields that the loader reads. Texts of the result lie in `file`.
///
/// What it makes is bounded: nesting, and the number of messages and texts, so that a small hostile file cannot make it
/// allocate much. Throws `Malformed`.
std::unique_ptr<lp_onnx_model> decode(Bytes file);

}  // namespace connx
