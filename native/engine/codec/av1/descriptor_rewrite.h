// A dependency descriptor as one subscriber gets it: template ids and frame number of its own line, and the
// decode targets that are forwarded to it.
#pragma once

#include "engine/codec/codec.h"

namespace nexus {

// The original and at most so much more: five flags and a bitmask.
inline constexpr size_t kMaxDescriptorGrowth = 3;

// `patch` is DescriptorRewriter's. Empty when nothing is to be forwarded, or it does not fit `out`.
ByteView WriteRewrittenDescriptor(ByteView original, const DependencyDescriptor& parsed,
                                  const DescriptorPatch& patch, MutableByteView out);

}  // namespace nexus
