#include "bench/load/load_script.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>

#include "bench/load/load_generator.h"
#include "bench/load/local_server.h"

namespace nexus::load {

std::string ScriptLine::Text(const std::string& key, const std::string& otherwise) const {
  const auto found = values.find(key);
  return found == values.end() ? otherwise : found->second;
}

int64_t ScriptLine::Number(const std::string& key, int64_t otherwise) const {
  const auto found = values.find(key);
  return found == values.end() ? otherwise : std::strtoll(found->second.c_str(), nullptr, 10);
}

ScriptLine ParseScriptLine(const std::string& line) {
  ScriptLine parsed;
  std::istringstream words(line);
  words >> parsed.word;
  for (std::string word; words >> word;) {
    const size_t at = word.find('=');
    if (at != std::string::npos) parsed.values.emplace(word.substr(0, at), word.substr(at + 1));
  }
  return parsed;
}

namespace {

std::optional<SocketAddress> ParseAddress(const std::string& text) {
  const size_t at = text.rfind(':');
  if (at == std::string::npos) return std::nullopt;
  return SocketAddress::Parse(text.substr(0, at),
                              static_cast<uint16_t>(std::strtoul(text.c_str() + at + 1, nullptr, 10)));
}

MediaKind KindOf(const ScriptLine& line) {
  return line.Text("kind") == "audio" ? MediaKind::kAudio : MediaKind::kVideo;
}

class Script {
 public:
  Script(LoadGenerator& generator) : generator_(generator) {}

  // The answer to a line; nothing if the script ends.
  std::optional<std::string> Handle(const ScriptLine& line) {
    if (line.word == "quit") return std::nullopt;
    if (line.word == "peer") return AddPeer(line);
    if (line.word == "codec") return AddCodec(line);
    if (line.word == "extension") return AddExtension(line);
    if (line.word == "forget") return codecs_.clear(), extensions_ = {}, "ok";
    if (line.word == "run") return Run(line);
    if (line.word == "joining") return generator_.BeginJoining(), "ok";
    if (line.word == "begin") return generator_.BeginMeasuring(), "ok";
    if (line.word == "report") return Report();
    if (line.word == "measure") return Measure(line);
    LoadPeer* peer = Find(line);
    if (peer == nullptr) return "error unknown_peer_or_command";
    if (line.word == "keyframe") return peer->RequestKeyframes(), "ok";
    if (line.word == "media") return peer->client().SetMedia(codecs_, extensions_), "ok";
    if (line.word == "send") return AddSend(*peer, line);
    if (line.word == "receive") return AddReceive(*peer, line);
    if (line.word == "connect") return Connect(*peer, line);
    if (line.word == "streams") return Streams(*peer);
    if (line.word == "close") return peer->client().Close(), generator_.Touch(*peer), "ok";
    return "error unknown_command";
  }

 private:
  LoadPeer* Find(const ScriptLine& line) {
    const auto index = static_cast<size_t>(line.Number("peer", -1));
    return index < generator_.peers().size() ? generator_.peers()[index].get() : nullptr;
  }
  std::string AddPeer(const ScriptLine& line) {
    LoadPeer& peer = generator_.AddPeer(codecs_, extensions_);
    peer.SetLoss(std::strtod(line.Text("loss", "0").c_str(), nullptr));
    const IceCredentials ice = LoadGenerator::CredentialsOf(peer.index());
    return "ok index=" + std::to_string(peer.index()) + " ufrag=" + ice.ufrag + " pwd=" + ice.pwd;
  }
  std::string AddCodec(const ScriptLine& line) {
    const auto codec = CodecFromName(line.Text("name"));
    if (!codec) return "error unknown_codec";
    CodecBinding binding;
    binding.codec = *codec;
    binding.payload_type = PayloadType{static_cast<uint8_t>(line.Number("pt"))};
    binding.clock_rate = static_cast<uint32_t>(line.Number("clock", 90'000));
    if (line.Number("rtx") > 0)
      binding.rtx_payload_type = PayloadType{static_cast<uint8_t>(line.Number("rtx"))};
    codecs_.push_back(binding);
    return "ok";
  }
  std::string AddExtension(const ScriptLine& line) {
    const auto extension = RtpExtensionFromUri(line.Text("uri"));
    if (!extension) return "ok unknown=1";  // not used by the generator
    extensions_.Set(*extension, static_cast<uint8_t>(line.Number("id")));
    return "ok";
  }
  std::string AddSend(LoadPeer& peer, const ScriptLine& line) {
    const auto codec = CodecFromName(line.Text("codec"));
    if (!codec || (*codec != Codec::kOpus && *codec != Codec::kVp8 && *codec != Codec::kH264))
      return "error unknown_codec";
    PublishSpec spec;
    spec.stream.kind = KindOf(line);
    spec.stream.codec = *codec;
    spec.stream.clock_rate = spec.stream.kind == MediaKind::kAudio ? 48'000 : 90'000;
    spec.stream.payload_type = PayloadType{static_cast<uint8_t>(line.Number("pt"))};
    spec.stream.ssrc = Ssrc{static_cast<uint32_t>(line.Number("ssrc"))};
    spec.stream.mid = line.Text("mid");
    spec.stream.rid = line.Text("rid");
    if (line.Number("rtx_ssrc") > 0) {
      spec.stream.rtx_ssrc = Ssrc{static_cast<uint32_t>(line.Number("rtx_ssrc"))};
      spec.stream.rtx_payload_type = PayloadType{static_cast<uint8_t>(line.Number("rtx_pt"))};
    }
    spec.bitrate_bps = static_cast<uint64_t>(line.Number("bitrate", 1'500'000));
    spec.frames_per_second = static_cast<unsigned>(std::clamp<int64_t>(line.Number("fps", 30), 1, 240));
    spec.audio_bytes = static_cast<size_t>(std::clamp<int64_t>(line.Number("bytes", 80), 16, 1'000));
    peer.Publish(spec);
    generator_.Touch(peer);
    return "ok";
  }
  std::string AddReceive(LoadPeer& peer, const ScriptLine& line) {
    ReceiveStreamConfig config;
    config.kind = KindOf(line);
    config.clock_rate = config.kind == MediaKind::kAudio ? 48'000 : 90'000;
    config.ssrc = Ssrc{static_cast<uint32_t>(line.Number("ssrc"))};
    if (line.Number("rtx_ssrc") > 0) config.rtx_ssrc = Ssrc{static_cast<uint32_t>(line.Number("rtx_ssrc"))};
    peer.Receive(config, MonotonicNow());
    generator_.Touch(peer);
    return "ok";
  }
  std::string Connect(LoadPeer& peer, const ScriptLine& line) {
    ClientRemote remote;
    remote.ice = {line.Text("ufrag"), line.Text("pwd")};
    remote.fingerprints = {{line.Text("hash", "sha-256"), line.Text("fingerprint")}};
    const auto [first, last] = line.values.equal_range("candidate");
    uint32_t priority = 0x7E7F00FF;
    for (auto candidate = first; candidate != last; ++candidate) {
      if (const auto address = ParseAddress(candidate->second))
        remote.candidates.push_back({*address, priority--});
    }
    if (remote.candidates.empty()) return "error no_candidate";
    generator_.Connect(peer, remote);
    return "ok";
  }
  std::string Streams(const LoadPeer& peer) const {
    std::string text = "ok";
    for (const SendStream& stream : peer.client().send_streams()) {
      text += " sent." + std::to_string(stream.config().ssrc.value) + "=" +
              std::to_string(stream.counters().packets);
    }
    for (const auto& stream : peer.client().receive_streams()) {
      text += " received." + std::to_string(stream->config().ssrc.value) + "=" +
              std::to_string(stream->stats().packets());
    }
    return text;
  }
  std::string Run(const ScriptLine& line) {
    const bool until_connected = line.Number("until_connected") != 0;
    generator_.RunUntil(
        MonotonicNow() + std::chrono::milliseconds(line.Number("seconds", 1) * 1'000 + line.Number("ms")),
        [&] {
          return until_connected && generator_.connected() + generator_.ended() == generator_.peers().size();
        });
    return "ok connected=" + std::to_string(generator_.connected()) +
           " ended=" + std::to_string(generator_.ended());
  }
  std::string Measure(const ScriptLine& line) {
    generator_.BeginMeasuring();
    generator_.RunUntil(MonotonicNow() + std::chrono::seconds(line.Number("seconds", 10)));
    return Report();
  }
  std::string Report() const {
    const std::string report = generator_.Report();
    return "{" + report + ", \"void\": " + (generator_.cpu_share() > 0.8 ? "true" : "false") + "}";
  }

  LoadGenerator& generator_;
  std::vector<CodecBinding> codecs_;
  RtpExtensionIds extensions_;
};

}  // namespace

int RunScript() {
  const auto setting = [](const char* name, int64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoll(text, nullptr, 10);
  };
  PinToCore(static_cast<int>(setting("NEXUS_LOAD_CORE", -1)));
  LoadOptions options;
  options.socket.gro = setting("NEXUS_LOAD_GRO", 0) != 0;
  options.socket.first_ip = static_cast<uint32_t>(setting("NEXUS_LOAD_FIRST_IP", options.socket.first_ip));
  options.open_one_in = static_cast<uint32_t>(setting("NEXUS_LOAD_OPEN_ONE_IN", 32));
  int error = 0;
  auto socket = LoadSocket::Open(options.socket, error);
  if (!socket) return std::fprintf(stderr, "no socket: error %d\n", error), 1;
  LoadGenerator generator(std::move(*socket), options);
  std::cout << "hello fingerprint=" << generator.fingerprint()
            << " first_address=" << generator.AddressOf(0).ToString() << std::endl;
  Script script(generator);
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = script.Handle(ParseScriptLine(line));
    if (!answer) break;
    std::cout << *answer << std::endl;
  }
  generator.CloseAll();
  return 0;
}

}  // namespace nexus::load
