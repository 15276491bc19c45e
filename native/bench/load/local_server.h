// Our engine in the generator's own process, on a thread and a core of its own: the quickest way to a figure,
// without services. It is a server under test like any other; the adapter's two sides are what an adapter for
// another SFU has
// (`load_script` reads them from a driver).
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
  // Null, with the system's error number, when it cannot listen.
  static std::unique_ptr<LocalServer> Open(const LocalServerOptions& options, int& error);

  // Puts the scene's people into a room and their peers into the generator, on their way to connect.
  bool Join(const SceneOptions& options, LoadGenerator& generator);
  // The shard's own counters; asks and waits for the answer.
  std::optional<EngineReport> Report();

 private:
  struct Person {
    LoadPeer* peer = nullptr;
    TransportDescription transport;
    std::optional<TrackId> video;
  };
  explicit LocalServer(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
  bool Publish(const SceneOptions& options, size_t index, Person& person);
  bool Watch(const SceneOptions& options, size_t index, Person& person);
  Ssrc NewSsrc() { return Ssrc{0x20000000 + ++ssrcs_}; }

  std::unique_ptr<Engine> engine_;
  RoomId room_;
  std::vector<Person> people_;
  uint32_t ssrcs_ = 0;
};

}  // namespace nexus::load
