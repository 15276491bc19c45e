#include "engine/codec/codec.h"

namespace nexus {
namespace {

struct Named {
  Codec codec;
  std::string_view name;
};
constexpr std::array<Named, 5> kNames = {{
    {Codec::kOpus, "opus"},
    {Codec::kVp8, "VP8"},
    {Codec::kVp9, "VP9"},
    {Codec::kH264, "H264"},
    {Codec::kAv1, "AV1"},
}};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool SameName(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

}  // namespace

std::optional<Codec> CodecFromName(std::string_view name) {
  for (const Named& named : kNames) {
    if (SameName(named.name, name)) return named.codec;
  }
  return std::nullopt;
}

std::string_view CodecName(Codec codec) { return kNames[static_cast<size_t>(codec)].name; }

}  // namespace nexus
