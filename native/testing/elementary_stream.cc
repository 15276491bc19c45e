#include "testing/elementary_stream.h"

#include <array>
#include <fstream>
#include <optional>

namespace nexus::testing {
namespace {

using Bytes = std::vector<uint8_t>;

void Append(Bytes& out, ByteView view) { out.insert(out.end(), view.begin(), view.end()); }

void AppendNal(Bytes& out, ByteView unit) {
  Append(out, std::array<uint8_t, 4>{0, 0, 0, 1});
  Append(out, unit);
}

// RFC 6184 sections 5.7.1 and 5.8
void AppendH264(Bytes& out, ByteView payload) {
  const uint8_t type = payload[0] & 0x1F;
  if (type == 24) {
    ByteReader reader(payload.subspan(1));
    while (reader.ok() && reader.remaining() > 2) AppendNal(out, reader.Bytes(reader.U16()));
  } else if (type == 28) {
    if (payload[1] & 0x80) {
      AppendNal(out, std::array<uint8_t, 1>{static_cast<uint8_t>((payload[0] & 0xE0) | (payload[1] & 0x1F))});
    }
    Append(out, payload.subspan(2));
  } else {
    AppendNal(out, payload);
  }
}

uint64_t Leb128(ByteReader& reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 56; shift += 7) {
    const uint8_t byte = reader.U8();
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (!(byte & 0x80)) break;
  }
  return value;
}

// One OBU with its size inside (AV1 section 5.3.1).
void AppendObu(Bytes& out, const Bytes& obu) {
  if (obu.empty()) return;
  const bool extension = obu[0] & 0x04;
  const size_t header = extension ? 2 : 1;
  out.push_back(static_cast<uint8_t>(obu[0] | 0x02));
  if (extension) out.push_back(obu[1]);
  size_t size = obu.size() - header;
  do {
    out.push_back(static_cast<uint8_t>((size & 0x7F) | (size > 0x7F ? 0x80 : 0)));
    size >>= 7;
  } while (size != 0);
  out.insert(out.end(), obu.begin() + static_cast<long>(header), obu.end());
}

// AV1 RTP specification section 4.4; `open` is the OBU that continues in the next packet.
void AppendAv1(Bytes& out, Bytes& open, ByteView payload) {
  ByteReader reader(payload);
  const uint8_t head = reader.U8();
  const unsigned count = head >> 4 & 3;
  for (unsigned i = 0; reader.ok() && reader.remaining() > 0; ++i) {
    const bool last_counted = count != 0 && i + 1 == count;
    const ByteView element = last_counted ? reader.Rest() : reader.Bytes(static_cast<size_t>(Leb128(reader)));
    if (i > 0 || !(head & 0x80)) {
      AppendObu(out, open);
      open.clear();
    }
    Append(open, element);
  }
  if (head & 0x40) return;
  AppendObu(out, open);
  open.clear();
}

void PutLittle(Bytes& out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}

Bytes IvfHeader(const char* fourcc) {
  Bytes header = {'D', 'K', 'I', 'F', 0, 0, 32, 0};
  header.insert(header.end(), fourcc, fourcc + 4);
  PutLittle(header, 640, 2);
  PutLittle(header, 480, 2);
  PutLittle(header, 30, 4);
  PutLittle(header, 1, 4);
  PutLittle(header, 0, 8);
  return header;
}

}  // namespace

std::vector<Bytes> ElementaryStream::WholeFrames() const {
  std::vector<Bytes> frames;
  Bytes frame;
  Bytes open;  // AV1
  std::optional<int64_t> before;
  bool whole = true;  // so far; false until the next frame begins
  bool starts = true;
  for (const auto& [sequence, packet] : packets_) {
    if (before && sequence != *before + 1) {
      // The frame before lacks its end; the next one may lack its start.
      frame.clear();
      open.clear();
      whole = starts = packet.frame_start;
    }
    if (starts) whole = true;
    before = sequence;
    starts = packet.marker;
    if (whole && !packet.payload.empty()) {
      ByteView payload(packet.payload);
      if (codec_ == Codec::kVp8) {
        const auto descriptor = ParseVp8Descriptor(payload);
        if (descriptor) Append(frame, payload.subspan(descriptor->size));
      } else if (codec_ == Codec::kVp9) {
        const auto descriptor = ParseVp9Descriptor(payload);
        if (descriptor) Append(frame, payload.subspan(descriptor->size));
      } else if (codec_ == Codec::kH264) {
        AppendH264(frame, payload);
      } else {
        AppendAv1(frame, open, payload);
      }
    }
    if (!packet.marker && whole) continue;
    if (whole && !frame.empty()) frames.push_back(std::move(frame));
    frame.clear();
    open.clear();
  }
  return frames;
}

size_t ElementaryStream::Write(const std::filesystem::path& path) const {
  const std::vector<Bytes> frames = WholeFrames();
  Bytes file;
  if (codec_ != Codec::kH264) {
    file = IvfHeader(codec_ == Codec::kVp8 ? "VP80" : codec_ == Codec::kVp9 ? "VP90" : "AV01");
  }
  for (size_t i = 0; i < frames.size(); ++i) {
    Bytes frame = frames[i];
    if (codec_ == Codec::kAv1) frame.insert(frame.begin(), {0x12, 0x00});  // a temporal delimiter in front
    if (codec_ != Codec::kH264) {
      PutLittle(file, frame.size(), 4);
      PutLittle(file, i, 8);
    }
    file.insert(file.end(), frame.begin(), frame.end());
  }
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  return frames.size();
}

}  // namespace nexus::testing
