// Reads the UDP payloads of a classic little-endian pcap file (Ethernet, IPv4), and finds the folder of
// captures.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/time.h"

namespace nexus::testing {

struct CapturedDatagram {
  Timestamp time;
  std::vector<uint8_t> bytes;
};

// NEXUS_TEST_DATA, else ../shared/data beside the repository, searched upwards from here.
inline std::optional<std::filesystem::path> TestData() {
  namespace fs = std::filesystem;
  if (const char* given = std::getenv("NEXUS_TEST_DATA")) return fs::path(given);
  for (const fs::path& start : {fs::current_path(), fs::path(__FILE__).parent_path()}) {
    for (fs::path folder = start; !folder.empty() && folder != folder.root_path();
         folder = folder.parent_path()) {
      const fs::path candidate = folder / "shared" / "data";
      if (fs::exists(candidate / "captures")) return candidate;
    }
  }
  return std::nullopt;
}

inline uint32_t LittleU32(const std::vector<uint8_t>& file, size_t at) {
  return file[at] | file[at + 1] << 8 | file[at + 2] << 16 | static_cast<uint32_t>(file[at + 3]) << 24;
}

inline std::vector<CapturedDatagram> ReadPcap(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::vector<uint8_t> file((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  std::vector<CapturedDatagram> datagrams;
  constexpr size_t kHeaders = 14 + 20 + 8;
  for (size_t at = 24; at + 16 <= file.size();) {
    const size_t size = LittleU32(file, at + 8);
    const int64_t us = int64_t{1'000'000} * LittleU32(file, at) + LittleU32(file, at + 4);
    at += 16;
    if (at + size > file.size()) break;
    const auto begin = file.begin() + static_cast<std::ptrdiff_t>(at);
    if (size > kHeaders) {
      datagrams.push_back(
          {TimestampFromMicros(us), {begin + kHeaders, begin + static_cast<std::ptrdiff_t>(size)}});
    }
    at += size;
  }
  return datagrams;
}

}  // namespace nexus::testing

// A test without its captures is skipped, except in CI, where it fails.
#define NEXUS_LOAD_CAPTURE(variable, name)                                                    \
  const auto variable##_data = ::nexus::testing::TestData();                                  \
  if (!variable##_data) {                                                                     \
    const char* ci = std::getenv("CI");                                                       \
    ASSERT_FALSE(ci != nullptr && std::string(ci) == "true") << "captures are missing in CI"; \
    GTEST_SKIP() << "no captures: set NEXUS_TEST_DATA";                                       \
  }                                                                                           \
  const auto variable = ::nexus::testing::ReadPcap(*variable##_data / "captures" / (name));   \
  ASSERT_FALSE(variable.empty()) << (name)
