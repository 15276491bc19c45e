#include "engine/client/jitter_buffer/audio_jitter_buffer.h"

#include <algorithm>
#include <utility>

#include "engine/codec/opus/opus.h"

namespace nexus {
namespace {

// A jump of the clock by more than this is a new stream under the same SSRC.
constexpr int64_t kMaxJumpSeconds = 5;

}  // namespace

AudioJitterBuffer::AudioJitterBuffer(const AudioJitterBufferConfig& config)
    : config_(config), delay_(config.delay), duration_(Ticks(config.packet_duration)) {}

void AudioJitterBuffer::Restart(int64_t timestamp) {
  ++counters_.restarts;
  packets_.clear();
  delay_.Restart();
  next_ = timestamp;
  playing_ = false;
  last_inserted_.reset();
}

void AudioJitterBuffer::LearnDuration(int64_t sequence, int64_t timestamp) {
  if (last_inserted_ && sequence == last_inserted_->first + 1) {
    const int64_t step = timestamp - last_inserted_->second;
    // RFC 7587 section 4.2: 2.5 to 120 ms. A longer step is a pause of the encoder, not a packet.
    if (step >= Ticks(Duration(2'500)) && step <= Ticks(std::chrono::milliseconds(120)) && !quiet_)
      duration_ = step;
  }
  last_inserted_ = {sequence, timestamp};
}

void AudioJitterBuffer::Insert(const ReceivedMedia& media, Timestamp now) {
  if (media.payload.empty()) return;
  const int64_t timestamp = timestamp_.Unwrap(media.timestamp);
  const bool another = source_ && *source_ != media.source;
  const bool jumped = next_ && std::abs(timestamp - *next_) > kMaxJumpSeconds * config_.clock_rate;
  if (jumped && (!another || packets_.empty())) Restart(timestamp);
  source_ = media.source;
  if (next_ && playing_ && timestamp < *next_) {
    ++counters_.late;
    delay_.OnUnit(Time(timestamp), now);  // so that the next late one is awaited
    return;
  }
  if (packets_.contains(timestamp)) {
    ++counters_.duplicates;
    return;
  }
  LearnDuration(media.sequence_number, timestamp);
  if (!media.repaired) delay_.OnUnit(Time(timestamp), now);
  if (packets_.size() >= config_.max_packets) {
    ++counters_.overflows;
    packets_.erase(packets_.begin());
    if (!packets_.empty()) next_ = packets_.begin()->first;
  }
  packets_.emplace(timestamp, Packet{{media.payload.begin(), media.payload.end()}, media.source});
}

Duration AudioJitterBuffer::level() const {
  if (packets_.empty()) return Duration(0);
  const int64_t from = next_ && playing_ ? *next_ : packets_.begin()->first;
  return Time(packets_.rbegin()->first + duration_ - from);
}

AudioDecision AudioJitterBuffer::Stretch() const {
  const Duration level = this->level();
  const Duration step = Time(duration_);
  // Between the two levels nothing is stretched, because constant stretching is audible.
  if (level > delay_.target() * 5 / 4 + 2 * step) return AudioDecision::kAccelerate;
  if (level < delay_.target() * 3 / 4 && level <= step) return AudioDecision::kDecelerate;
  return AudioDecision::kNormal;
}

AudioPlayout AudioJitterBuffer::Play(Packets::iterator packet) {
  AudioPlayout out;
  out.decision = Stretch();
  out.timestamp = packet->first;
  out.source = packet->second.source;
  out.after_concealment = concealed_ticks_ > 0;
  current_ = std::move(packet->second.payload);
  out.payload = current_;
  quiet_ = IsOpusDtx(current_);
  next_ = packet->first + duration_;
  packets_.erase(packets_.begin(), std::next(packet));
  concealed_ticks_ = 0;
  ++counters_.played;
  counters_.accelerated += out.decision == AudioDecision::kAccelerate ? 1 : 0;
  counters_.decelerated += out.decision == AudioDecision::kDecelerate ? 1 : 0;
  return out;
}

AudioPlayout AudioJitterBuffer::PlayNothing() {
  AudioPlayout out;
  out.timestamp = next_.value_or(0);
  const bool known_lost = !packets_.empty();
  if (quiet_) {
    // RFC 7587 section 3.1.3: the encoder sends nothing while there is no speech; its time goes on.
    ++counters_.comfort_noise;
    out.decision = AudioDecision::kComfortNoise;
    *next_ += duration_;
    return out;
  }
  if (known_lost && config_.use_fec && packets_.begin()->first == *next_ + duration_) {
    ++counters_.fec;
    current_ = packets_.begin()->second.payload;
    out.decision = AudioDecision::kFec;
    out.payload = current_;
    out.source = packets_.begin()->second.source;
    *next_ += duration_;
    return out;
  }
  concealed_ticks_ += duration_;
  if (known_lost) {
    *next_ += duration_;  // it is lost: a later packet has arrived
  } else if (Time(concealed_ticks_) > config_.max_concealment) {
    playing_ = false;  // restarts with a buffer filled to the target
    return out;
  }
  // Otherwise it is only late. The time stays, so the buffer grows by the concealed time.
  ++counters_.concealed;
  out.decision = AudioDecision::kConceal;
  return out;
}

AudioPlayout AudioJitterBuffer::Pull(Timestamp now) {
  if (!playing_) {
    if (packets_.empty()) return {};
    const auto playout = delay_.PlayoutTime(Time(packets_.begin()->first));
    if (level() < delay_.target() && playout && *playout > now) return {};
    playing_ = true;
    next_ = packets_.begin()->first;
  }
  const auto first = packets_.begin();
  if (first != packets_.end() && first->first <= *next_) return Play(first);
  // If the hole is no whole packet, or too long for concealment, playout continues at the packet's time.
  if (first != packets_.end() &&
      (first->first - *next_ < duration_ / 2 ||
       Time(first->first - *next_) > 2 * config_.max_concealment + delay_.target())) {
    return Play(first);
  }
  return PlayNothing();
}

}  // namespace nexus
