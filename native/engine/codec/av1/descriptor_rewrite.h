// A dependency descriptor as one subscriber gets it: template ids and frame number of its own line, and the
// decode targets that are forwarded to it.
#pragma once

#include "engine/codec/codec.h"

namespace nexus {

// The original and at most so much more: five flags and a bitmask.
inline constexpr size_t kMaxDescriptorGrowth = 3;

// `patch` is Av1Rewriter's. Empty when it does not fit `out`.
ByteView WriteRewrittenDescriptor(ByteView original, const DependencyDescriptor& parsed,
                                  const CodecPatch& patch, MutableByteView out);

}  // namespace nexus
