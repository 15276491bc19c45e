#include "engine/rtcp/twcc_feedback.h"

#include <algorithm>
#include <array>

namespace nexus {
namespace {

constexpr size_t kHeadSize = 20;  // common header, two SSRCs, base, count, reference time, feedback count
constexpr uint16_t kMaxRun = 0x1FFF;
constexpr size_t kMaxFeedbackSize = 1200;

// Encodes status symbols as packet chunks (draft §3.1.2 to §3.1.4), chosen greedily.
class ChunkEncoder {
 public:
  void Add(uint8_t symbol) {
    while (!Fits(symbol)) EmitFirst();
    if (size_ < symbols_.size()) symbols_[size_] = symbol;
    same_ = size_ == 0 || (same_ && symbol == symbols_[0]);
    large_ = large_ || symbol == 2;
    ++size_;
  }
  void Finish() {
    if (size_ == 0) return;
    if (same_) {
      EmitRun();
    } else {
      EmitVector(size_, size_ > 7);
    }
  }
  size_t chunk_count_when_finished() const { return chunk_count_ + (size_ > 0 ? 1 : 0); }
  std::span<const uint16_t> chunks() const { return std::span(chunks_).first(chunk_count_); }

 private:
  bool Fits(uint8_t symbol) const {
    if (size_ < 7) return true;
    if (size_ < 14 && !large_ && symbol != 2) return true;
    return size_ < kMaxRun && same_ && symbol == symbols_[0];
  }
  void EmitFirst() {
    if (same_) {
      EmitRun();
    } else if (size_ == 14) {
      EmitVector(14, true);
    } else {
      EmitVector(7, false);
    }
  }
  void EmitRun() {
    Push(static_cast<uint16_t>(symbols_[0] << 13 | size_));
    size_ = 0;
    large_ = false;
  }
  void EmitVector(size_t count, bool one_bit) {
    uint16_t chunk = one_bit ? 0x8000 : 0xC000;
    for (size_t i = 0; i < count; ++i) {
      chunk = static_cast<uint16_t>(chunk | symbols_[i] << (one_bit ? 13 - i : 12 - 2 * i));
    }
    Push(chunk);
    std::copy(symbols_.begin() + count, symbols_.begin() + size_, symbols_.begin());
    size_ -= count;
    same_ = true;
    large_ = false;
    for (size_t i = 0; i < size_; ++i) {
      same_ = same_ && symbols_[i] == symbols_[0];
      large_ = large_ || symbols_[i] == 2;
    }
  }
  void Push(uint16_t chunk) {
    if (chunk_count_ < chunks_.size()) chunks_[chunk_count_++] = chunk;
  }

  std::array<uint8_t, 14> symbols_{};
  size_t size_ = 0;
  bool same_ = true;
  bool large_ = false;
  std::array<uint16_t, kMaxFeedbackSize / 2> chunks_{};
  size_t chunk_count_ = 0;
};

int64_t FloorDiv(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

}  // namespace

std::optional<TwccFeedbackView> TwccFeedbackView::Parse(ByteView body) {
  ByteReader reader(body);
  TwccFeedbackView view;
  view.sender_ = Ssrc{reader.U32()};
  view.media_ = Ssrc{reader.U32()};
  view.base_sequence_ = reader.U16();
  view.status_count_ = reader.U16();
  view.reference_time_ = static_cast<int32_t>(reader.U24() << 8) >> 8;  // signed 24 bits
  view.feedback_count_ = reader.U8();
  if (!reader.ok()) return std::nullopt;
  // First the chunks, which show where the deltas begin; then both again, with bounds checks.
  const ByteView rest = reader.Rest();
  ByteReader chunks(rest);
  uint32_t covered = 0;
  while (covered < view.status_count_) {
    const uint16_t chunk = chunks.U16();
    if (!chunks.ok()) return std::nullopt;
    const uint32_t count = !(chunk & 0x8000) ? chunk & kMaxRun : (chunk & 0x4000 ? 7 : 14);
    if (count == 0) return std::nullopt;
    covered += count;
  }
  view.chunks_ = rest.first(chunks.position());
  view.deltas_ = rest.subspan(chunks.position());
  Cursor cursor(view);
  for (uint32_t i = 0; i < view.status_count_; ++i) (void)cursor.Next();
  if (!cursor.ok()) return std::nullopt;
  return view;
}

TwccFeedbackView::Cursor::Cursor(const TwccFeedbackView& feedback)
    : chunks_(feedback.chunks_),
      deltas_(feedback.deltas_),
      time_(kTwccReferenceUnit * static_cast<int64_t>(feedback.reference_time_)) {}

TwccFeedbackView::Symbol TwccFeedbackView::Cursor::NextSymbol() {
  if (left_ == 0) {
    chunk_ = chunks_.U16();
    left_ = !(chunk_ & 0x8000) ? chunk_ & kMaxRun : (chunk_ & 0x4000 ? 7 : 14);
  }
  --left_;
  if (!(chunk_ & 0x8000)) return static_cast<Symbol>(chunk_ >> 13 & 3);
  if (chunk_ & 0x4000) return static_cast<Symbol>(chunk_ >> (2 * left_) & 3);
  return static_cast<Symbol>(chunk_ >> left_ & 1);
}

std::optional<Duration> TwccFeedbackView::Cursor::Next() {
  switch (NextSymbol()) {
    case Symbol::kLost:
    case Symbol::kReserved:  // draft §3.1.1: reserved carries no delta
      return std::nullopt;
    case Symbol::kSmallDelta:
      time_ += kTwccTick * static_cast<int64_t>(deltas_.U8());
      return time_;
    case Symbol::kLargeDelta:
      time_ += kTwccTick * static_cast<int64_t>(static_cast<int16_t>(deltas_.U16()));
      return time_;
  }
  return std::nullopt;
}

TwccFeedbackResult WriteTwccFeedback(MutableByteView out, Ssrc sender, Ssrc media, uint8_t feedback_count,
                                     int64_t base_sequence, std::span<const TwccArrival> arrivals) {
  const size_t limit = std::min(out.size(), kMaxFeedbackSize) & ~size_t{3};
  if (arrivals.empty() || arrivals[0].sequence < base_sequence || limit < kHeadSize + 4) return {};
  const int64_t reference =
      FloorDiv(arrivals[0].arrival.time_since_epoch().count(), kTwccReferenceUnit.count());
  int64_t ticks = reference * (kTwccReferenceUnit / kTwccTick);
  ChunkEncoder encoder;
  std::array<uint8_t, kMaxFeedbackSize> delta_bytes;
  ByteWriter deltas(delta_bytes);
  int64_t next = base_sequence;
  size_t consumed = 0;
  for (const TwccArrival& arrival : arrivals) {
    const int64_t step = FloorDiv(arrival.arrival.time_since_epoch().count(), kTwccTick.count()) - ticks;
    if (step < INT16_MIN || step > INT16_MAX || arrival.sequence - base_sequence >= 0xFFFF) break;
    const bool small = step >= 0 && step <= 0xFF;
    ChunkEncoder tried = encoder;
    for (; next < arrival.sequence; ++next) tried.Add(0);
    tried.Add(small ? 1 : 2);
    const size_t delta_size = deltas.size() + (small ? 1 : 2);
    if (kHeadSize + 2 * tried.chunk_count_when_finished() + delta_size > limit) break;
    encoder = tried;
    if (small) {
      deltas.U8(static_cast<uint8_t>(step));
    } else {
      deltas.U16(static_cast<uint16_t>(step));
    }
    ticks += step;
    next = arrival.sequence + 1;
    ++consumed;
  }
  if (consumed == 0) return {};
  encoder.Finish();
  const size_t content = kHeadSize + 2 * encoder.chunks().size() + deltas.size();
  const size_t padded = (content + 3) & ~size_t{3};
  ByteWriter writer(out);
  // draft §3.1: zero padding to 32 bits with P bit and count, as in all implementations
  const size_t padding = padded - content;
  writer.U8(static_cast<uint8_t>(0x80 | (padding ? 0x20 : 0) | 15));
  writer.U8(205);
  writer.U16(static_cast<uint16_t>(padded / 4 - 1));
  writer.U32(sender.value);
  writer.U32(media.value);
  writer.U16(static_cast<uint16_t>(base_sequence));
  writer.U16(static_cast<uint16_t>(arrivals[consumed - 1].sequence - base_sequence + 1));
  writer.U24(static_cast<uint32_t>(reference) & 0xFFFFFF);
  writer.U8(feedback_count);
  for (const uint16_t chunk : encoder.chunks()) writer.U16(chunk);
  writer.Bytes(deltas.written());
  if (padding) {
    writer.Zeros(padding - 1);
    writer.U8(static_cast<uint8_t>(padding));
  }
  return writer.ok() ? TwccFeedbackResult{writer.size(), consumed} : TwccFeedbackResult{};
}

}  // namespace nexus
