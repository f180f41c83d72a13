#include "base/log_budget.h"

#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(LogBudgetTest, TellsHowManyLinesWereLeftOut) {
  LogBudget budget(2, absl::Seconds(10));
  absl::Time now = absl::UnixEpoch();
  EXPECT_EQ(budget.Take(now), "");
  EXPECT_EQ(budget.Take(now += absl::Seconds(4)), "");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(budget.Take(now), std::nullopt);
  EXPECT_EQ(budget.Take(now += absl::Seconds(6)), " (3 such lines were left out)");
  EXPECT_EQ(budget.Take(now), "");
  EXPECT_EQ(budget.Take(now), std::nullopt);
}

}  // namespace
}  // namespace weft
