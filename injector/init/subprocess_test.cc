#include "injector/init/subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::HasSubstr;

TEST(SubprocessTest, CarriesInputOutputErrorAndExitCode) {
  const auto result = RunProcess({"sh", "-c", "cat; echo wrong >&2; exit 3"}, "hello");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, "hello");
  EXPECT_EQ(result->err, "wrong\n");
  EXPECT_EQ(result->exit_code, 3);
}

TEST(SubprocessTest, CarriesMoreThanAPipeHolds) {
  const std::string input(1 << 20, 'x');
  const auto result = RunProcess({"cat"}, input);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->out, input);
}

TEST(SubprocessTest, AProgramThatReadsNothingIsNoError) {
  const auto result = RunProcess({"true"}, std::string(1 << 20, 'x'));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0);
}

TEST(SubprocessTest, ASignalIsAnExitCodeOf128AndMore) {
  const auto result = RunProcess({"sh", "-c", "kill -9 $$"}, "");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 137);
}

TEST(SubprocessTest, OutputIsBounded) {
  const auto result = RunProcess({"sh", "-c", "yes"}, "");
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(SubprocessTest, AMissingProgramIsNamed) {
  const auto result = RunProcess({"no-such-program"}, "");
  EXPECT_EQ(result.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("no-such-program"));
  EXPECT_FALSE(ProgramExists("no-such-program"));
  EXPECT_TRUE(ProgramExists("sh"));
}

}  // namespace
}  // namespace weft
