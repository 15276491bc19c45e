#include "testing/simulcast.h"

namespace nexus::testing {

SimulcastCamera::SimulcastCamera(TestCall& call, Member& member, FoundBy found_by) {
  static constexpr const char* kRids[kEncodings] = {"q", "h", "f"};
  TrackSettings settings;
  settings.kind = MediaKind::kVideo;
  settings.number = kCsrc;
  settings.mid = "cam";
  for (size_t i = 0; i < kEncodings; ++i) {
    const auto n = static_cast<uint32_t>(i);
    PublishedStreamOptions options;
    options.ssrc = Ssrc{0x500000 + n};
    options.rtx_ssrc = Ssrc{0x600000 + n};
    options.mid = settings.mid;
    options.mark = 7000 + n;
    options.first_sequence = static_cast<uint16_t>(65'400 + 100 * i);  // wraps, at different times
    options.first_timestamp = 0xFFFF0000u + 77'777u * n;               // related by the sender reports only
    if (found_by == FoundBy::kRid) {
      options.rid = kRids[i];
      settings.rids.emplace_back(kRids[i]);
    } else {
      settings.ssrcs.push_back(options.ssrc);
      settings.rtx_ssrcs.push_back(options.rtx_ssrc);
    }
    encodings_.push_back(&member.peer->Publish(options));
  }
  call.Command(AddTrack{track_, member.transport, settings});
  call.Every(std::chrono::milliseconds(40), [this, &call, &member] { SendFrame(call, member); });
  call.Every(std::chrono::milliseconds(700), [this, &call, &member] {
    if (!member.peer->connected()) return;
    for (const PublishedStream* encoding : encodings_) {
      if (encoding->packets > 0) member.peer->SendSenderReport(*encoding, call.now());
    }
  });
}

void SimulcastCamera::SendFrame(TestCall& call, Member& member) {
  if (!member.peer->connected()) return;
  for (size_t i = 0; i < kEncodings; ++i) {
    if (!paused_[i]) member.peer->SendVideoFrame(*encodings_[i], call.now(), size_t{1} << i);
  }
}

void SimulcastCamera::Pause(size_t index, bool paused) {
  paused_[index] = paused;
  encodings_[index]->keyframe_wanted = true;  // an encoding resumes with a keyframe
}

std::optional<size_t> SimulcastCamera::EncodingOf(uint32_t mark) const {
  for (size_t i = 0; i < encodings_.size(); ++i) {
    if (encodings_[i]->options.mark == mark) return i;
  }
  return std::nullopt;
}

std::map<uint32_t, uint32_t> SimulcastCamera::csrcs() const {
  std::map<uint32_t, uint32_t> csrcs;
  for (const PublishedStream* encoding : encodings_) csrcs[encoding->options.mark] = kCsrc;
  return csrcs;
}

}  // namespace nexus::testing
