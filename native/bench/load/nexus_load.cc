// The load generator: thousands of real WebRTC peers on one core, against an SFU on another.
//
//   nexus_load local <livestream|meeting|audio> [participants=100] [seconds=10] [warmup=5] [gro=0|1] [gso=1]
//                    [simulcast=1] [codec=VP8|H264] [poor=0 loss=3] [open=32] [gcm=openssl] [pad=1]
//                    [rest_us=1000]
//                    [server_core=0] [generator_core=1]
//   nexus_load script        commands on standard input: see load_script.h
//
// Prints one JSON object. It contains "void": true if the generator used more than 80 % of its core.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/load/arguments.h"
#include "bench/load/load_script.h"
#include "bench/load/local_server.h"

namespace nexus::load {
namespace {

int RunLocal(const Arguments& arguments, Scene scene) {
  SceneOptions options;
  options.scene = scene;
  options.participants = static_cast<size_t>(arguments.Number("participants", 100));
  options.simulcast = arguments.Number("simulcast", 1) != 0;
  options.codec = CodecFromName(arguments.Text("codec", "VP8")).value_or(Codec::kVp8);
  int error = 0;
  LocalServerOptions server_options;
  server_options.core = static_cast<int>(arguments.Number("server_core", 0));
  server_options.gso = arguments.Number("gso", 1) != 0;
  if (arguments.Text("gcm", "") == "openssl") server_options.gcm = GcmLibrary::kOpenSsl;
  server_options.pad_runs = arguments.Number("pad", 1) != 0;
  server_options.rest = Duration(arguments.Number("rest_us", server_options.rest.count()));
  auto server = LocalServer::Open(server_options, error);
  PinToCore(static_cast<int>(arguments.Number("generator_core", 1)));
  LoadOptions load;
  load.socket.gro = arguments.Number("gro", 0) != 0;
  load.open_one_in = static_cast<uint32_t>(arguments.Number("open", 32));
  auto socket = LoadSocket::Open(load.socket, error);
  if (server == nullptr || !socket) return std::fprintf(stderr, "no socket: error %d\n", error), 1;
  LoadGenerator generator(std::move(*socket), load);
  if (!server->Join(options, generator)) return std::fputs("the engine refused the scene\n", stderr), 1;
  const size_t everybody = generator.peers().size();
  // Poor networks: `poor` percent of the participants lose `loss` percent of the incoming media.
  const size_t poor = everybody * static_cast<size_t>(arguments.Number("poor", 0)) / 100;
  for (size_t i = 0; i < poor; ++i) {
    generator.peers()[everybody - 1 - i]->SetLoss(static_cast<double>(arguments.Number("loss", 3)));
  }
  generator.RunUntil(MonotonicNow() + std::chrono::seconds(30),
                     [&] { return generator.connected() == everybody; });
  generator.RunUntil(MonotonicNow() + std::chrono::seconds(arguments.Number("warmup", 5)));
  const auto before = server->Report();
  generator.BeginMeasuring();
  // Other work on the machine only slows a window down: the best windows show the engine's own cost.
  std::vector<double> windows;
  EngineStats last = *before;
  for (int64_t left = arguments.Number("seconds", 10) * 4; left > 0; --left) {
    generator.RunUntil(MonotonicNow() + std::chrono::milliseconds(250));
    const auto next = server->Report();
    if (!next) break;
    windows.push_back(static_cast<double>(next->datagrams_out - last.datagrams_out) /
                      (next->cpu_seconds - last.cpu_seconds));
    last = *next;
  }
  std::sort(windows.begin(), windows.end());
  const std::string seen = generator.Report();
  const bool is_void = generator.cpu_share() > 0.8;
  const auto after = server->Report();
  if (!before || !after) return std::fputs("the engine returned no report\n", stderr), 1;
  const double cpu = after->cpu_seconds - before->cpu_seconds;
  const auto out = static_cast<double>(after->datagrams_out - before->datagrams_out);
  const auto segments = static_cast<double>(after->gso_segments - before->gso_segments);
  const auto runs = static_cast<double>(after->gso_runs - before->gso_runs);
  std::printf(
      "{\"server\": \"nexus, in process\", \"scene\": \"%s\", \"participants\": %zu, \"gro\": %s, "
      "\"server_cpu_seconds\": %.3f, "
      "\"server_packets_out\": %.0f, \"packets_out_per_cpu_second\": %.0f, \"in_good_windows\": %.0f, "
      "\"server_gbit_per_cpu_second\": "
      "%.2f, "
      "\"share_in_gso_runs\": %.3f, \"packets_per_run\": %.2f, \"server_backlog_drops\": %llu, \"void\": %s, "
      "%s}\n",
      arguments.Text("scene_name", "").c_str(), options.participants, load.socket.gro ? "true" : "false", cpu,
      out, cpu > 0 ? out / cpu : 0, windows.empty() ? 0 : windows[windows.size() * 3 / 4],
      cpu > 0 ? static_cast<double>(after->bytes_out - before->bytes_out) * 8e-9 / cpu : 0,
      out > 0 ? segments / out : 0, runs > 0 ? segments / runs : 0,
      static_cast<unsigned long long>(after->send_backlog_drops - before->send_backlog_drops),
      is_void ? "true" : "false", seen.c_str());
  generator.CloseAll();
  return 0;
}

int Main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "script") return RunScript();
  const auto scene = argc > 2 ? SceneFromName(argv[2]) : std::nullopt;
  if (mode != "local" || !scene) {
    std::fputs("usage: nexus_load local <livestream|meeting|audio> [key=value ...] | nexus_load script\n",
               stderr);
    return 2;
  }
  std::string name = std::string("scene_name=") + argv[2];
  argv[2] = name.data();
  return RunLocal(Arguments(argc, argv, 2), *scene);
}

}  // namespace
}  // namespace nexus::load

int main(int argc, char** argv) { return nexus::load::Main(argc, argv); }
