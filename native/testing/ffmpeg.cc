#include "testing/ffmpeg.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace nexus::testing {
namespace {

// Errors are written to a file of their own, because they would interrupt the lines that are counted.
Decoded Decode(const std::filesystem::path& path) {
  const std::string errors = path.string() + ".errors";
  const std::string command =
      "ffmpeg -nostdin -v error -threads 1 -i '" + path.string() + "' -f framecrc - 2> '" + errors + "'";
  Decoded decoded;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return decoded;
  std::array<char, 512> line;
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) {
    if (std::string(line.data()).rfind("0,", 0) == 0) ++decoded.frames;
  }
  pclose(pipe);
  std::ifstream stream(errors);
  decoded.errors.assign(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  std::filesystem::remove(errors);
  return decoded;
}

}  // namespace

bool HasFfmpeg() { return std::system("ffmpeg -version > /dev/null 2>&1") == 0; }

size_t WriteAndDecode(const ElementaryStream& stream, const std::string& extension, Decoded& decoded) {
  const auto path =
      std::filesystem::temp_directory_path() / ("nexus_stream_" + std::to_string(getpid()) + "." + extension);
  const size_t frames = stream.Write(path);
  decoded = Decode(path);
  std::filesystem::remove(path);
  return frames;
}

}  // namespace nexus::testing
