// Decodes a stream by ffmpeg, an independent decoder.
#pragma once

#include <string>

#include "testing/elementary_stream.h"

namespace nexus::testing {

bool HasFfmpeg();

struct Decoded {
  size_t frames = 0;
  std::string errors;
};

// Writes the stream to a temporary file and has it decoded. Returns how many whole frames went in;
// `extension` names the container: "ivf" or "h264".
size_t WriteAndDecode(const ElementaryStream& stream, const std::string& extension, Decoded& decoded);

}  // namespace nexus::testing
