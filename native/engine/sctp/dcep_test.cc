// DCEP messages are read back as they were written, and malformed ones are rejected.
#include "engine/sctp/dcep.h"

#include <gtest/gtest.h>

namespace nexus {
namespace {

std::vector<DataChannelOptions> AllKinds() {
  std::vector<DataChannelOptions> kinds;
  for (const bool ordered : {true, false}) {
    for (int reliability = 0; reliability < 3; ++reliability) {
      DataChannelOptions options;
      options.ordered = ordered;
      if (reliability == 1) options.max_retransmits = 3;
      if (reliability == 2) options.max_lifetime_ms = 500;
      options.label = "chat";
      options.protocol = "nexus.data.v1";
      kinds.push_back(options);
    }
  }
  return kinds;
}

TEST(Dcep, ReadsBackOpensOfEveryKind) {
  for (const DataChannelOptions& options : AllKinds()) {
    EXPECT_EQ(ParseDataChannelOpen(WriteDataChannelOpen(options)), options);
  }
}

TEST(Dcep, AnOpenHasTheLayoutOfRfc8832) {
  DataChannelOptions options;
  options.ordered = false;
  options.max_retransmits = 0x01020304;
  options.priority = 512;
  options.label = "ab";
  options.protocol = "c";
  EXPECT_EQ(WriteDataChannelOpen(options),
            (std::vector<uint8_t>{3, 0x81, 2, 0, 1, 2, 3, 4, 0, 2, 0, 1, 'a', 'b', 'c'}));
}

TEST(Dcep, RejectsTruncatedOpensAndTrailingBytes) {
  std::vector<uint8_t> open = WriteDataChannelOpen(AllKinds().front());
  for (size_t size = 0; size < open.size(); ++size) {
    EXPECT_FALSE(ParseDataChannelOpen(ByteView(open).first(size))) << size;
  }
  open.push_back(0);
  EXPECT_FALSE(ParseDataChannelOpen(open));
}

TEST(Dcep, RejectsUnknownChannelTypesAndLongNames) {
  std::vector<uint8_t> open = WriteDataChannelOpen(AllKinds().front());
  open[1] = 0x03;
  EXPECT_FALSE(ParseDataChannelOpen(open));
  DataChannelOptions options;
  options.label = std::string(kMaxDataChannelName + 1, 'x');
  EXPECT_FALSE(ParseDataChannelOpen(WriteDataChannelOpen(options)));
}

TEST(Dcep, AnAckIsOneByte) {
  EXPECT_TRUE(IsDataChannelAck(WriteDataChannelAck()));
  EXPECT_FALSE(IsDataChannelAck({}));
  EXPECT_FALSE(IsDataChannelAck(std::vector<uint8_t>{2, 0}));
}

}  // namespace
}  // namespace nexus
