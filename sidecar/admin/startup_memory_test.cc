#include "sidecar/admin/startup_memory.h"

#include <cstdlib>
#include <string>

#include "gtest/gtest.h"

namespace weft::admin {
namespace {

// Initialized at load time: lives in a mapping that must survive.
const char* const kRelocated[] = {"one", "two", "three"};
std::string global = "a string in writable memory";

TEST(StartupMemory, TheProgramGoesOnWithAllItsDataAfterTheRelease) {
  const std::string heap(100'000, 'x');
  ReleaseStartupMemory();
  EXPECT_STREQ(kRelocated[2], "three");
  EXPECT_EQ(global, "a string in writable memory");
  EXPECT_EQ(heap, std::string(100'000, 'x'));
  EXPECT_EQ(std::strtol("42", nullptr, 10), 42);
}

}  // namespace
}  // namespace weft::admin
