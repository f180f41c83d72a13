// Tries every seed of a fuzz target, a test case each: seeds FOLDER
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace weft {
namespace {

class SeedTest : public ::testing::Test {
 public:
  explicit SeedTest(std::string path) : path_(std::move(path)) {}

  void TestBody() override {
    std::ifstream file(path_, std::ios::binary);
    ASSERT_TRUE(file) << path_;
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    // What does not hold ends the process, and -1 means "not for the corpus".
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()),
              0);
  }

 private:
  std::string path_;
};

// How many seeds `folder` has.
size_t RegisterSeeds(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    ::testing::RegisterTest("Seeds", path.filename().c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [path] { return new SeedTest(path); });
  }
  return paths.size();
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 2 || weft::RegisterSeeds(argv[1]) == 0) {
    std::cerr << "usage: " << argv[0] << " FOLDER\n  which has the seeds\n";
    return 2;
  }
  return RUN_ALL_TESTS();
}
