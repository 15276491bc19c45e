#include "bench/load/join_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace nexus::load {
namespace {

// Quantile by nearest rank.
double QuantileMs(const std::vector<Duration>& sorted, double quantile) {
  if (sorted.empty()) return 0;
  const double rank = std::ceil(quantile * static_cast<double>(sorted.size()));
  const auto at = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  return static_cast<double>(sorted[std::min(at, sorted.size() - 1)].count()) / 1'000;
}

std::string Quantiles(const char* name, std::vector<Duration>& waits) {
  std::sort(waits.begin(), waits.end());
  char text[128];
  std::snprintf(text, sizeof text, "\"%s\": {\"p50\": %.2f, \"p95\": %.2f, \"p99\": %.2f}", name,
                QuantileMs(waits, 0.5), QuantileMs(waits, 0.95), QuantileMs(waits, 0.99));
  return text;
}

}  // namespace

std::string ReportJoins(const std::vector<std::unique_ptr<LoadPeer>>& peers, const LoadTotals& totals,
                        Timestamp now) {
  std::vector<Duration> from_join;
  std::vector<Duration> from_connect;
  std::vector<Duration> from_connected;
  size_t waiting = 0;
  for (const auto& peer : peers) {
    const LoadPeer::Steps& steps = peer->steps;
    if (steps.joining < totals.began) continue;
    for (const auto& [stream, watched] : peer->watched()) {
      if (watched.kind() != MediaKind::kVideo) continue;
      // A viewer without a frame counts with the time it has waited; leaving it out would bias the result.
      waiting += !watched.first_frame();
      const Timestamp seen = watched.first_frame().value_or(now);
      const auto since = [&](Timestamp step) { return step == Timestamp{} ? Duration(0) : seen - step; };
      from_join.push_back(since(steps.joining));
      from_connect.push_back(since(steps.connecting));
      from_connected.push_back(since(steps.connected));
    }
  }
  char text[512];
  std::snprintf(text, sizeof text,
                "\"keyframes_made\": %llu, \"earlier_packets\": %llu, \"earlier_age_p99_ms\": %.2f, "
                "\"settled_latency_p50_ms\": %.2f, \"settled_latency_p99_ms\": %.2f, "
                "\"newcomers_latency_samples\": %llu, \"newcomers_latency_p50_ms\": %.2f, "
                "\"newcomers_latency_p99_ms\": %.2f, \"first_frames\": %zu, \"first_frames_missing\": %zu, ",
                static_cast<unsigned long long>(totals.keyframes_made),
                static_cast<unsigned long long>(totals.earlier.total()), totals.earlier.QuantileMs(0.99),
                totals.settled_latency.QuantileMs(0.5), totals.settled_latency.QuantileMs(0.99),
                static_cast<unsigned long long>(totals.newcomers_latency.total()),
                totals.newcomers_latency.QuantileMs(0.5), totals.newcomers_latency.QuantileMs(0.99),
                from_join.size() - waiting, waiting);
  return text + ("\"first_frame_ms\": {" + Quantiles("from_join", from_join)) + ", " +
         Quantiles("from_connect", from_connect) + ", " + Quantiles("from_connected", from_connected) + "}";
}

}  // namespace nexus::load
