#include "bench/load/watched_stream.h"

#include <algorithm>

namespace nexus::load {

void WatchedVideo::OnPacket(const ReceivedMedia& media, Timestamp now) {
  const int64_t sequence = media.sequence_number;
  if (sequence <= last_marker) {
    // A late packet, usually a retransmission, may complete an incomplete frame.
    const auto waiting = std::find_if(incomplete.begin(), incomplete.end(), [&](const Incomplete& frame) {
      return sequence >= frame.first && sequence <= frame.last;
    });
    if (waiting == incomplete.end() || --waiting->missing > 0) return;
    incomplete.erase(waiting);
    return OnPicture(now);
  }
  ++since_marker;
  if (!media.marker) return;
  const int64_t first = last_marker < 0 ? sequence - since_marker + 1 : last_marker + 1;
  const int64_t missing = sequence - first + 1 - since_marker;
  last_marker = sequence;
  since_marker = 0;
  if (missing == 0) return OnPicture(now);
  if (incomplete.size() >= kMaxIncomplete) incomplete.erase(incomplete.begin());
  incomplete.push_back({first, sequence, missing});
}

void WatchedVideo::OnPicture(Timestamp now) {
  ++pictures;
  if (last_picture != Timestamp{}) {
    const auto interval = static_cast<double>((now - last_picture).count());
    if (interval > std::max(3 * mean_interval_us, mean_interval_us + 150'000)) ++freezes;
    mean_interval_us += (interval - mean_interval_us) / 30;
  }
  last_picture = now;
}

void WatchedStream::OnPacket(const Received& received, const Client& viewer, Timestamp connected,
                             bool newcomer, Timestamp now, LoadTotals& totals) {
  if (received.media.opened) CountLatency(received, connected, newcomer, now, totals);
  if (kind() == MediaKind::kVideo) {
    pictures_.OnPacket(received.media, now);
    const bool awaits = !first_frame_ || stream_->keyframes().pending();
    if (awaits && received.media.opened) AwaitKeyframe(received.media, viewer, now);
    stream_->opened_whole = !caught_up_ || !first_frame_ || stream_->keyframes().pending();
  } else {
    stream_->opened_whole = !caught_up_;
  }
}

void WatchedStream::CountLatency(const Received& received, Timestamp connected, bool newcomer, Timestamp now,
                                 LoadTotals& totals) {
  const auto sent = SendStamp::Read(received.media.payload);
  if (!sent) return;
  if (*sent < std::max(connected, added_)) return totals.earlier.Add(now - *sent);
  caught_up_ = true;
  if (!received.sampled || received.media.repaired) return;
  totals.latency.Add(now - *sent);
  (newcomer ? totals.newcomers_latency : totals.settled_latency).Add(now - *sent);
}

// As browsers do, a viewer that receives frames but no complete keyframe requests one repeatedly, at the rate
// of the stream's requester.
void WatchedStream::AwaitKeyframe(const ReceivedMedia& media, const Client& viewer, Timestamp now) {
  if (!awaited_) {
    const auto codec = viewer.CodecOf(media.payload_type);
    if (!codec) return;
    awaited_ = std::make_unique<KeyframeWatch>(*codec);
  }
  if (!awaited_->OnPacket(media)) {
    if (!awaited_->coming()) stream_->RequestKeyframe();
    return;
  }
  awaited_.reset();
  stream_->OnKeyframe(now);
  if (!first_frame_) first_frame_ = now;
}

}  // namespace nexus::load
