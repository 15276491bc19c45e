#include "engine/codec/payload_rewriter.h"

namespace nexus {
namespace {

// Another codec means another decoder at the receiver, so its counters may restart.
template <class Rewriter, class State>
void BindAs(State& state) {
  if (!std::holds_alternative<Rewriter>(state)) state.template emplace<Rewriter>();
  std::get<Rewriter>(state).Bind();
}

}  // namespace

void PayloadRewriter::Bind(Codec codec) {
  descriptor_.Bind();
  switch (codec) {
    case Codec::kOpus:
    case Codec::kH264:
    case Codec::kAv1:
      state_.emplace<AsItIs>();
      return;
    case Codec::kVp8:
      return BindAs<Vp8Rewriter>(state_);
    case Codec::kVp9:
      return BindAs<Vp9Rewriter>(state_);
  }
}

void PayloadRewriter::LeaveOut(const FrameInfo& frame) {
  const auto* descriptor = std::get_if<Vp8Descriptor>(&frame.descriptor);
  auto* rewriter = std::get_if<Vp8Rewriter>(&state_);
  if (descriptor != nullptr && rewriter != nullptr) rewriter->LeaveOut(*descriptor);
}

bool PayloadRewriter::HasPlace(const FrameInfo& frame) const {
  const auto* descriptor = std::get_if<Vp8Descriptor>(&frame.descriptor);
  const auto* rewriter = std::get_if<Vp8Rewriter>(&state_);
  return descriptor != nullptr && rewriter != nullptr && rewriter->HasPlace(*descriptor);
}

CodecPatch PayloadRewriter::Rewrite(const FrameInfo& frame, ByteView payload) {
  struct Visitor {
    const FrameInfo& frame;
    ByteView payload;
    CodecPatch operator()(AsItIs&) const { return {}; }
    CodecPatch operator()(Vp8Rewriter& rewriter) const {
      const auto* descriptor = std::get_if<Vp8Descriptor>(&frame.descriptor);
      return descriptor ? rewriter.Rewrite(*descriptor, payload) : CodecPatch{};
    }
    CodecPatch operator()(Vp9Rewriter& rewriter) const {
      const auto* descriptor = std::get_if<Vp9Descriptor>(&frame.descriptor);
      return descriptor ? rewriter.Rewrite(*descriptor, payload) : CodecPatch{};
    }
  };
  return std::visit(Visitor{frame, payload}, state_);
}

}  // namespace nexus
