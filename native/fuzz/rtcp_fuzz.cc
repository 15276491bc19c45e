// RTCP from a peer: reads every item of every compound packet to its end.
#include <cstddef>

#include "engine/rtcp/rtcp_reader.h"

namespace {

struct Reader {
  uint64_t sum = 0;
  void Blocks(const nexus::ReportBlocks& blocks) {
    for (size_t i = 0; i < blocks.size(); ++i) sum += blocks[i].jitter + blocks[i].source.value;
  }
  void operator()(const nexus::SenderReport& report) {
    sum += static_cast<uint64_t>(report.ntp.micros());
    Blocks(report.blocks);
  }
  void operator()(const nexus::ReceiverReport& report) { Blocks(report.blocks); }
  void operator()(const nexus::SdesCname& sdes) {
    for (const char c : sdes.cname) sum += static_cast<unsigned char>(c);
  }
  void operator()(const nexus::Goodbye& bye) {
    for (size_t i = 0; i < bye.size(); ++i) sum += bye[i].value;
  }
  void operator()(const nexus::Nack& nack) {
    nack.ForEach([&](uint16_t number) { sum += number; });
  }
  void operator()(const nexus::PictureLoss& pli) { sum += pli.media.value; }
  void operator()(const nexus::FullIntra& fir) {
    for (size_t i = 0; i < fir.size(); ++i) sum += fir.target(i).value + fir.sequence(i);
  }
  void operator()(const nexus::Remb& remb) { sum += remb.bitrate_bps; }
  void operator()(const nexus::TwccFeedbackView& feedback) {
    feedback.ForEach([&](uint16_t number, std::optional<nexus::Duration> time) {
      sum += number + static_cast<uint64_t>(time.value_or(nexus::Duration(0)).count());
    });
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nexus::RtcpReader reader(nexus::ByteView(data, size));
  Reader visitor;
  while (const auto item = reader.Next()) std::visit(visitor, *item);
  volatile uint64_t keep = visitor.sum;
  (void)keep;
  return 0;
}
