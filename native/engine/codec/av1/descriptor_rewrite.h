// Rewrites a dependency descriptor for one subscriber: template ids, frame number, and the decode targets
// that are forwarded to it.
#pragma once

#include "engine/codec/codec.h"

namespace nexus {

// Maximum growth of a rewritten descriptor: five flags and a bitmask.
inline constexpr size_t kMaxDescriptorGrowth = 3;

// `patch` is DescriptorRewriter's. Empty if nothing is to be forwarded, or if it does not fit `out`.
ByteView WriteRewrittenDescriptor(ByteView original, const DependencyDescriptor& parsed,
                                  const DescriptorPatch& patch, MutableByteView out);

}  // namespace nexus
