#include "control-plane/ca/authority.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/x509_issuer.h"
#include "control-plane/ca/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::ca {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const SpiffeId kTea{"cluster.local", "shop", "tea"};

std::string Read(const std::string& path) {
  std::ifstream in(path);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

void Write(const std::string& path, const std::string& content, mode_t mode = 0600) {
  unlink(path.c_str());
  std::ofstream(path) << content;
  chmod(path.c_str(), mode);
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  stat(path.c_str(), &info);
  return info.st_mode & 07777;
}

absl::StatusOr<Authority> OpenIn(const TemporaryDirectory& directory, absl::Time now = kNow) {
  return Authority::Open(*StateDirectory::Open(directory.path()), {}, now);
}

std::string PemOf(const x509::Certificate& certificate, const x509::PrivateKey& key) {
  return absl::StrCat(*certificate.ToPem(), *key.ToPem());
}

TEST(AuthorityTest, TheFirstStartMakesARootAndTheNextOnesKeepIt) {
  const TemporaryDirectory directory;
  const absl::StatusOr<Authority> first = OpenIn(directory);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(ModeOf(directory / "ca.pem"), 0600U);
  EXPECT_EQ(ModeOf(directory / "root.pem"), 0644U);
  const std::string root_pem = Read(directory / "root.pem");
  EXPECT_EQ(root_pem.find("PRIVATE"), std::string::npos);
  EXPECT_EQ(first->RootsPem(), std::vector<std::string>{root_pem});
  const std::string ca_pem = Read(directory / "ca.pem");

  const absl::StatusOr<Authority> second = OpenIn(directory);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->RootsPem(), first->RootsPem());
  EXPECT_EQ(Read(directory / "ca.pem"), ca_pem);

  const x509::PrivateKey key = *x509::PrivateKey::Generate();
  const x509::Certificate leaf = *first->Issue(key.Public(), kTea, {}, kNow);
  EXPECT_TRUE(x509::VerifyChain(leaf, {}, {*x509::Certificate::FromPem(root_pem)}, kNow).ok());
  EXPECT_EQ(leaf.NotAfter(), kNow + absl::Hours(1));
}

TEST(AuthorityTest, ALostRootFileIsWrittenAgainFromTheCa) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(OpenIn(directory).ok());
  const std::string root_pem = Read(directory / "root.pem");
  Write(directory / "root.pem", "nonsense", 0644);
  ASSERT_TRUE(OpenIn(directory).ok());
  EXPECT_EQ(Read(directory / "root.pem"), root_pem);
}

TEST(AuthorityTest, AnUnusableCaFileStopsTheStartAndIsNeverReplaced) {
  const x509::PrivateKey key = *x509::PrivateKey::Generate();
  const x509::PrivateKey other_key = *x509::PrivateKey::Generate();
  const x509::Certificate root = *x509::IssueRoot(key, {}, kNow);
  const x509::Certificate expired =
      *x509::IssueRoot(key, {.lifetime = absl::Hours(1)}, kNow - absl::Hours(2));
  const x509::Certificate future = *x509::IssueRoot(key, {}, kNow + absl::Hours(2));
  const x509::Certificate leaf =
      *x509::IssueLeaf(root, key, other_key.Public(), {.identity = kTea}, kNow);
  const std::string good = PemOf(root, key);
  struct Case {
    const char* name;
    std::string content;
    mode_t mode;
    const char* error;
  };
  for (const Case& c : std::vector<Case>{
           {"empty", "", 0600, "no PEM certificate"},
           {"garbage", "\x01\x02 not pem", 0600, "no PEM certificate"},
           {"truncated certificate", good.substr(0, 200), 0600, "malformed"},
           {"certificate without key", *root.ToPem(), 0600, "no readable private key"},
           {"key without certificate", *key.ToPem(), 0600, "no PEM certificate"},
           {"truncated key", good.substr(0, good.size() - 60), 0600, "no readable private key"},
           {"another key", PemOf(root, other_key), 0600, "key does not belong to the certificate"},
           {"expired", PemOf(expired, key), 0600, "expired"},
           {"not yet valid", PemOf(future, key), 0600, "clock"},
           {"no CA", PemOf(leaf, other_key), 0600, "not a CA"},
           {"two roots", absl::StrCat(*root.ToPem(), good), 0600, "2 certificates"},
           {"group-readable", good, 0640, "mode 0640"},
           {"world-readable", good, 0604, "mode 0604"},
           {"world-writable", good, 0602, "mode 0602"},
           {"huge", std::string(100'000, 'x'), 0600, "larger than"},
       }) {
    const TemporaryDirectory directory;
    Write(directory / "ca.pem", c.content, c.mode);
    const absl::Status status = OpenIn(directory).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << c.name << ": " << status;
    EXPECT_THAT(status.message(), HasSubstr(c.error)) << c.name;
    EXPECT_THAT(status.message(), HasSubstr("ca.pem")) << c.name;
    EXPECT_EQ(status.message().find("BEGIN"), absl::string_view::npos) << c.name;
    EXPECT_EQ(Read(directory / "ca.pem"), c.content) << c.name;
    EXPECT_NE(access((directory / "root.pem").c_str(), F_OK), 0) << c.name;
  }
}

TEST(AuthorityTest, ACaFileThatIsNoRegularFileIsRefused) {
  const TemporaryDirectory directory;
  Write(directory / "elsewhere", "x");
  ASSERT_EQ(symlink((directory / "elsewhere").c_str(), (directory / "ca.pem").c_str()), 0);
  EXPECT_FALSE(OpenIn(directory).ok());
  unlink((directory / "ca.pem").c_str());
  ASSERT_EQ(mkfifo((directory / "ca.pem").c_str(), 0600), 0);
  EXPECT_EQ(OpenIn(directory).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(AuthorityTest, AStateDirectoryThatOthersMayWriteToIsRefused) {
  const TemporaryDirectory directory;
  for (const mode_t mode : {0777, 0770, 0702}) {
    chmod(directory.path().c_str(), mode);
    const absl::Status status = StateDirectory::Open(directory.path()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr("chmod go-w"));
  }
  chmod(directory.path().c_str(), 0755);
  EXPECT_TRUE(StateDirectory::Open(directory.path()).ok());
  Write(directory / "file", "x");
  EXPECT_FALSE(StateDirectory::Open(directory / "file").ok());
  EXPECT_FALSE(StateDirectory::Open(directory / "missing/deeper").ok());
  EXPECT_FALSE(StateDirectory::Open("").ok());
}

TEST(AuthorityTest, ProcessesThatStartTogetherAgreeOnOneRoot) {
  const TemporaryDirectory directory;
  std::vector<std::string> roots(8);
  std::vector<std::thread> threads;
  threads.reserve(roots.size());
  for (std::string& root : roots) {
    threads.emplace_back([&] {
      const absl::StatusOr<Authority> authority = OpenIn(directory);
      root = authority.ok() ? authority->RootsPem().front() : authority.status().ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& root : roots) EXPECT_EQ(root, roots.front());
  EXPECT_THAT(roots.front(), HasSubstr("BEGIN CERTIFICATE"));
}

}  // namespace
}  // namespace weft::ca
