#include "engine/codec/payload_rewriter.h"

namespace nexus {
namespace {

// Another codec is another decoder at the receiver, so its counters may begin anew.
template <class Rewriter, class State>
void BindAs(State& state) {
  if (!std::holds_alternative<Rewriter>(state)) state.template emplace<Rewriter>();
  std::get<Rewriter>(state).Bind();
}

}  // namespace

void PayloadRewriter::Bind(Codec codec) {
  switch (codec) {
    case Codec::kOpus:
    case Codec::kH264:
      state_.emplace<AsItIs>();
      return;
    case Codec::kVp8:
      return BindAs<Vp8Rewriter>(state_);
    case Codec::kVp9:
      return BindAs<Vp9Rewriter>(state_);
    case Codec::kAv1:
      return BindAs<Av1Rewriter>(state_);
  }
}

CodecPatch PayloadRewriter::Rewrite(const FrameInfo& frame, ByteView payload,
                                    ByteView dependency_descriptor) {
  struct Visitor {
    const FrameInfo& frame;
    ByteView payload;
    ByteView dependency_descriptor;
    CodecPatch operator()(AsItIs&) const { return {}; }
    CodecPatch operator()(Vp8Rewriter& rewriter) const {
      const auto* descriptor = std::get_if<Vp8Descriptor>(&frame.descriptor);
      return descriptor ? rewriter.Rewrite(*descriptor, payload) : CodecPatch{};
    }
    CodecPatch operator()(Vp9Rewriter& rewriter) const {
      const auto* descriptor = std::get_if<Vp9Descriptor>(&frame.descriptor);
      return descriptor ? rewriter.Rewrite(*descriptor, payload) : CodecPatch{};
    }
    CodecPatch operator()(Av1Rewriter& rewriter) const {
      const auto* descriptor = std::get_if<DependencyDescriptor>(&frame.descriptor);
      return descriptor ? rewriter.Rewrite(*descriptor, dependency_descriptor) : CodecPatch{};
    }
  };
  return std::visit(Visitor{frame, payload, dependency_descriptor}, state_);
}

}  // namespace nexus
