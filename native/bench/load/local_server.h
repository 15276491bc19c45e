// Our engine in the generator's process, on a thread and core of its own: the quickest measurement, without
// services. It is a server under test like any other; for other SFUs a driver does through `load_script` what
// this class does.
#pragma once

#include <memory>

#include "bench/load/load_generator.h"
#include "bench/load/load_scene.h"
#include "bench/load/pin.h"
#include "io/engine.h"

namespace nexus::load {

struct LocalServerOptions {
  int core = 0;
  bool gso = true;
  GcmLibrary gcm = FastestGcmLibrary();
  bool pad_runs = true;
  Duration rest = EngineConfig{}.rest;
};

class LocalServer {
 public:
  // Null if it cannot listen; `error` is then the system's error number.
  static std::unique_ptr<LocalServer> Open(const LocalServerOptions& options, int& error);

  // Creates the scene's participants in a room and their peers in the generator, and connects them.
  bool Join(const SceneOptions& options, LoadGenerator& generator);
  // Requests the shard's own counters and waits for them.
  std::optional<EngineStats> Report();

 private:
  struct LoadParticipant {
    LoadPeer* peer = nullptr;
    TransportDescription transport;
    std::optional<TrackId> video;
  };
  explicit LocalServer(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
  bool Publish(const SceneOptions& options, size_t index, LoadParticipant& participant);
  bool Watch(const SceneOptions& options, size_t index, LoadParticipant& participant);
  Ssrc NewSsrc() { return Ssrc{0x20000000 + ++ssrcs_}; }

  std::unique_ptr<Engine> engine_;
  RoomId room_;
  std::vector<LoadParticipant> participants_;
  uint32_t ssrcs_ = 0;
};

}  // namespace nexus::load
