// clang-format off
// The seam between the generator and whoever does the signaling of the SFU under test (Python drivers: ours,
// LiveKit's, Janus's): lines of words in, lines out. First the generator says
//
//   hello fingerprint=AA:BB:.. first_address=127.1.0.0:40000
//
// then it takes, each answered by `ok ...` or `error <why>`:
//
//   codec name=VP8 pt=96 clock=90000 [rtx=97]      of peers that are made from now on
//   extension uri=urn:.. id=4                      likewise
//   forget                                         codecs and extensions: a server that offers has its own
//   joining                                        who comes next begins to join: first pictures count from here
//   peer [loss=3]                                  -> ok index=0 ufrag=.. pwd=..   (to be told to the SFU)
//   media peer=0                                   what `codec` and `extension` said is now this peer's too
//   send peer=0 kind=video codec=VP8 pt=96 ssrc=1 mid=1 [rtx_pt=97 rtx_ssrc=2 rid=q] [bitrate=150000] [fps=30]
//   receive peer=0 kind=video ssrc=5 [rtx_ssrc=6]
//   connect peer=0 ufrag=.. pwd=.. fingerprint=AA:.. candidate=127.0.0.1:7000 [candidate=..]
//   keyframe peer=0                                the next picture of all that it sends is one
//   streams peer=0                                 -> ok sent.<ssrc>=<packets> .. received.<ssrc>=<packets> ..
//   close peer=0
//   run seconds=5 [ms=5] [until_connected=1]       -> ok connected=.. ended=..
//   begin                                          what is counted is counted from now on
//   report                                         -> a JSON object: what was counted since
//   measure seconds=10                             the three of them at once
//   quit
// clang-format on
#pragma once

#include <istream>
#include <map>
#include <string>
#include <vector>

namespace nexus::load {

// A line as a word and its key=value pairs; a key may come more than once.
struct ScriptLine {
  std::string word;
  std::multimap<std::string, std::string> values;
  std::string Text(const std::string& key, const std::string& otherwise = "") const;
  int64_t Number(const std::string& key, int64_t otherwise = 0) const;
};
ScriptLine ParseScriptLine(const std::string& line);

// Reads standard input until it ends or says `quit`. An exit code.
int RunScript();

}  // namespace nexus::load
