// A camera that is published in several encodings at once, low to high, found by RID or by SSRC.
#pragma once

#include <vector>

#include "testing/test_call.h"

namespace nexus::testing {

enum class FoundBy : uint8_t { kRid, kSsrc };

class SimulcastCamera {
 public:
  static constexpr size_t kEncodings = 3;
  static constexpr uint32_t kCsrc = 4242;

  // Publishes it for `member` and starts it: 25 frames a second, of 1, 2 and 4 packets, with sender reports.
  SimulcastCamera(TestCall& call, Member& member, FoundBy found_by);

  TrackId track() const { return track_; }
  PublishedStream& encoding(size_t index) { return *encodings_[index]; }
  // Publishers pause encodings without signaling it.
  void Pause(size_t index, bool paused);
  // The encoding of a payload, by its mark.
  std::optional<size_t> EncodingOf(uint32_t mark) const;
  // For ReceivedStream::Faults.
  std::map<uint32_t, uint32_t> csrcs() const;

 private:
  void SendFrame(TestCall& call, Member& member);

  TrackId track_{90'001};
  std::vector<PublishedStream*> encodings_;
  std::array<bool, kEncodings> paused_{};
};

}  // namespace nexus::testing
