// Each drop reason has a name of its own, of lower-case letters and underscores.
#include "engine/control/drop_reason.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace nexus {
namespace {

TEST(DropReason, NamesAreDistinctWords) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    const std::string_view name = DropReasonName(static_cast<DropReason>(i));
    EXPECT_NE(name, "none");
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos) << name;
  }
}

}  // namespace
}  // namespace nexus
