// clang-format off
// The interface between the generator and the driver that does the signaling of the SFU under test (Python
// drivers for Nexus, LiveKit and Janus): lines of words in, lines out. First the generator prints
//
//   hello fingerprint=AA:BB:.. first_address=127.1.0.0:40000
//
// then it takes these lines, and answers each with `ok ...` or `error <why>`:
//
//   codec name=VP8 pt=96 clock=90000 [rtx=97]      a codec of all peers created from now on
//   extension uri=urn:.. id=4                      likewise a header extension
//   forget                                         clears both, for a server that offers its own
//   joining                                        start of joining for all peers created from now on
//   peer [loss=3]                                  -> ok index=0 ufrag=.. pwd=..   (for the SFU)
//   media peer=0                                   gives this peer the current codecs and extensions
//   send peer=0 kind=video codec=VP8 pt=96 ssrc=1 mid=1 [rtx_pt=97 rtx_ssrc=2 rid=q] [bitrate=150000] [fps=30]
//   receive peer=0 kind=video ssrc=5 [rtx_ssrc=6]
//   connect peer=0 ufrag=.. pwd=.. fingerprint=AA:.. candidate=127.0.0.1:7000 [candidate=..]
//   keyframe peer=0                                makes the next frame of all its encodings a keyframe
//   streams peer=0                                 -> ok sent.<ssrc>=<packets> .. received.<ssrc>=<packets> ..
//   close peer=0
//   run seconds=5 [ms=5] [until_connected=1]       -> ok connected=.. ended=..
//   begin                                          resets the counters
//   report                                         -> a JSON object with the counts since `begin`
//   measure seconds=10                             `begin`, `run` and `report`
//   quit
// clang-format on
#pragma once

#include <istream>
#include <map>
#include <string>
#include <vector>

namespace nexus::load {

// A line as a word and its key=value pairs; a key may occur several times.
struct ScriptLine {
  std::string word;
  std::multimap<std::string, std::string> values;
  std::string Text(const std::string& key, const std::string& otherwise = "") const;
  int64_t Number(const std::string& key, int64_t otherwise = 0) const;
};
ScriptLine ParseScriptLine(const std::string& line);

// Reads standard input until it ends or contains `quit`. Returns an exit code.
int RunScript();

}  // namespace nexus::load
