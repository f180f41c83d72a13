// The directory source on real directories: what users, editors and kubelets do to files.
#include "control-plane/source/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/strings.h"

namespace weft::source {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string Pod(std::string_view name) {
  return absl::StrCat("{apiVersion: v1, kind: Pod, metadata: {name: ", ToAbsl(name),
                      ", namespace: shop}}\n");
}

class Directory : public ::testing::Test {
 protected:
  Directory() {
    std::string name = fs::temp_directory_path() / "weft-directory-XXXXXX";
    root_ = mkdtemp(name.data());
    fs::create_directories(root_ / "manifests");
  }
  ~Directory() override {
    source_.reset();
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  fs::path Path(std::string_view name) const { return root_ / "manifests" / name; }

  void Write(std::string_view name, std::string_view text) { std::ofstream(Path(name)) << text; }

  // As editors and kubectl-like tools do: a new file takes the name.
  void Replace(std::string_view name, std::string_view text) {
    std::ofstream(Path(".tmp")) << text;
    fs::rename(Path(".tmp"), Path(name));
  }

  void Start() {
    DirectorySource::Options options;
    options.path = (root_ / "manifests").string() + "/";
    options.quiet = absl::Milliseconds(5);
    auto source = DirectorySource::Start(options, [this](std::vector<store::Update> updates) {
      absl::MutexLock lock(&mutex_);
      for (store::Update& update : updates) {
        if (update.object == nullptr) {
          objects_.erase(update.key.name);
        } else {
          objects_.insert(update.key.name);
        }
      }
    });
    ASSERT_TRUE(source.ok()) << source.status();
    source_ = *std::move(source);
  }

  std::set<std::string> Objects() {
    absl::MutexLock lock(&mutex_);
    return objects_;
  }

  // Waits until the source has exactly these objects.
  bool Has(std::set<std::string> wanted) {
    absl::MutexLock lock(&mutex_);
    auto equal = [&] { return objects_ == wanted; };
    return mutex_.AwaitWithTimeout(absl::Condition(&equal), absl::Seconds(20));
  }

  // Waits until the findings have exactly these reasons.
  bool HasFindings(std::multiset<std::string> wanted) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (absl::Now() < deadline) {
      std::multiset<std::string> reasons;
      for (const auto& finding : source_->Findings()) reasons.insert(finding.reason());
      if (reasons == wanted) return true;
      std::this_thread::yield();
    }
    return false;
  }

  fs::path root_;
  absl::Mutex mutex_;
  std::set<std::string> objects_;
  std::unique_ptr<DirectorySource> source_;
};

TEST_F(Directory, IsReadAtOnceWithItsSubdirectories) {
  fs::create_directories(Path("b/c"));
  Write("one.yaml", Pod("one"));
  Write("two.yml", Pod("two"));
  Write("b/three.json", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"three"}})");
  Write("b/c/four.yaml", Pod("four"));
  Write("notes.txt", Pod("five"));
  Write(".hidden.yaml", Pod("six"));
  Write("seven.yaml~", Pod("seven"));
  Start();
  EXPECT_EQ(Objects(), (std::set<std::string>{"four", "one", "three", "two"}));
  EXPECT_THAT(source_->Findings(), IsEmpty());
}

TEST_F(Directory, FollowsFilesThatComeChangeAndGo) {
  Start();
  Write("a.yaml", Pod("a"));
  EXPECT_TRUE(Has({"a"}));
  Write("a.yaml", Pod("a2"));
  EXPECT_TRUE(Has({"a2"}));
  Replace("a.yaml", Pod("a3"));
  EXPECT_TRUE(Has({"a3"}));
  fs::rename(Path("a.yaml"), Path("b.yaml"));
  Write("c.yaml", Pod("c"));
  EXPECT_TRUE(Has({"a3", "c"}));
  fs::rename(Path("b.yaml"), Path("b.yaml.bak"));
  EXPECT_TRUE(Has({"c"}));
  fs::remove(Path("c.yaml"));
  EXPECT_TRUE(Has({}));
}

TEST_F(Directory, FollowsDirectoriesThatComeAndGo) {
  Start();
  fs::create_directories(Path("x/y"));
  Write("x/y/a.yaml", Pod("a"));
  EXPECT_TRUE(Has({"a"}));
  Write("x/y/a.yaml", Pod("b"));
  EXPECT_TRUE(Has({"b"}));
  // A whole tree that is moved in at once.
  fs::create_directories(root_ / "outside/deep");
  std::ofstream(root_ / "outside/deep/c.yaml") << Pod("c");
  fs::rename(root_ / "outside", Path("inside"));
  EXPECT_TRUE(Has({"b", "c"}));
  fs::remove_all(Path("x"));
  EXPECT_TRUE(Has({"c"}));
}

TEST_F(Directory, ABrokenFileKeepsItsLastGoodObjectsAndRecovers) {
  Write("a.yaml", Pod("a"));
  Write("b.yaml", Pod("b"));
  Start();
  Write("a.yaml",
        Pod("a2") + "---\n{apiVersion: v1, kind: Service, metadata: {name: s}, spec: 5}\n");
  ASSERT_TRUE(HasFindings({"ManifestInvalid"}));
  weft::v1::Finding finding = source_->Findings().at(0);
  EXPECT_EQ(finding.object(), Path("a.yaml").string());
  EXPECT_EQ(finding.field(), "spec");
  EXPECT_EQ(finding.message(), "document 2, Service s: expected a map, got the number 5");
  // The other files go on living.
  Write("b.yaml", Pod("b2"));
  EXPECT_TRUE(Has({"a", "b2"}));
  Write("a.yaml", Pod("a2"));
  EXPECT_TRUE(Has({"a2", "b2"}));
  EXPECT_TRUE(HasFindings({}));
}

TEST_F(Directory, ABrokenFileThatIsDeletedTakesItsObjectsAlong) {
  Write("a.yaml", Pod("a"));
  Start();
  Write("a.yaml", "x: [");
  ASSERT_TRUE(HasFindings({"ManifestInvalid"}));
  fs::remove(Path("a.yaml"));
  EXPECT_TRUE(Has({}));
  EXPECT_TRUE(HasFindings({}));
}

TEST_F(Directory, FollowsTheSwapOfAMountedConfigMap) {
  // How kubelets mount ConfigMaps: names link into "..data", which links to a version.
  fs::create_directories(Path("..v1"));
  Write("..v1/a.yaml", Pod("a1"));
  fs::create_directory_symlink("..v1", Path("..data"));
  fs::create_symlink("..data/a.yaml", Path("a.yaml"));
  Start();
  EXPECT_EQ(Objects(), (std::set<std::string>{"a1"}));
  fs::create_directories(Path("..v2"));
  Write("..v2/a.yaml", Pod("a2"));
  fs::create_directory_symlink("..v2", Path("..data_tmp"));
  fs::rename(Path("..data_tmp"), Path("..data"));
  fs::remove_all(Path("..v1"));
  EXPECT_TRUE(Has({"a2"}));
  EXPECT_THAT(source_->Findings(), IsEmpty());
}

TEST_F(Directory, FollowsFilesAndDirectoriesThatAreLinked) {
  fs::create_directories(root_ / "elsewhere");
  std::ofstream(root_ / "elsewhere/a.yaml") << Pod("a");
  fs::create_symlink(root_ / "elsewhere/a.yaml", Path("link.yaml"));
  fs::create_symlink(root_ / "nowhere.yaml", Path("dangling.yaml"));
  fs::create_directory_symlink("..", Path("loop"));
  Start();
  EXPECT_EQ(Objects(), (std::set<std::string>{"a"}));
  std::ofstream(root_ / "elsewhere/a.yaml") << Pod("b");
  EXPECT_TRUE(Has({"b"}));
}

TEST_F(Directory, AnObjectInTwoFilesIsTakenFromTheFirst) {
  Write("a.yaml", Pod("a"));
  Write("b.yaml", Pod("a") + "---\n" + Pod("b"));
  Start();
  EXPECT_EQ(Objects(), (std::set<std::string>{"a", "b"}));
  EXPECT_TRUE(HasFindings({"ObjectDuplicate"}));
  fs::remove(Path("a.yaml"));
  EXPECT_TRUE(HasFindings({}));
  EXPECT_EQ(Objects(), (std::set<std::string>{"a", "b"}));
}

TEST_F(Directory, AFileThatIsTooLargeIsAFinding) {
  Write("a.yaml", Pod("a"));
  Start();
  std::ofstream(Path("a.yaml")) << std::string((16 << 20) + 1, '#');
  EXPECT_TRUE(HasFindings({"FileUnreadable"}));
  EXPECT_EQ(Objects(), (std::set<std::string>{"a"}));
}

TEST_F(Directory, ThatVanishesKeepsItsObjectsAndIsFoundAgain) {
  Write("a.yaml", Pod("a"));
  Start();
  fs::rename(root_ / "manifests", root_ / "gone");
  ASSERT_TRUE(HasFindings({"DirectoryUnreadable"}));
  EXPECT_EQ(Objects(), (std::set<std::string>{"a"}));
  fs::create_directories(root_ / "manifests");
  Write("b.yaml", Pod("b"));
  EXPECT_TRUE(Has({"b"}));
  EXPECT_TRUE(HasFindings({}));
}

TEST_F(Directory, WithoutADirectoryThereIsAnErrorAtOnce) {
  auto ignore = [](std::vector<store::Update>) {};
  EXPECT_EQ(DirectorySource::Start({.path = (root_ / "none").string(), .limits = {}}, ignore)
                .status()
                .code(),
            absl::StatusCode::kNotFound);
  std::ofstream(root_ / "file") << "x";
  EXPECT_FALSE(
      DirectorySource::Start({.path = (root_ / "file").string(), .limits = {}}, ignore).ok());
}

TEST_F(Directory, PipesAndDirectoriesWithManifestNamesAreNoFiles) {
  ASSERT_EQ(mkfifo(Path("pipe.yaml").c_str(), 0600), 0);
  fs::create_directories(Path("dir.yaml"));
  Write("dir.yaml/a.yaml", Pod("a"));
  Start();
  EXPECT_EQ(Objects(), (std::set<std::string>{"a"}));
}

TEST_F(Directory, ManyQuickChangesEndInTheLastOne) {
  Start();
  for (int i = 0; i < 200; ++i) Write("a.yaml", Pod(absl::StrCat("p", i % 10)));
  Write("a.yaml", Pod("last"));
  EXPECT_TRUE(Has({"last"}));
}

}  // namespace
}  // namespace weft::source
