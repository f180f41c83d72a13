#include "control-plane/ca/join_token_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "control-plane/ca/secret.h"
#include "control-plane/ca/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::ca {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

class JoinTokenTest : public ::testing::Test {
 protected:
  std::string FileText() {
    std::ifstream in(directory_ / "join-tokens.json");
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }

  const TemporaryDirectory directory_;
  const StateDirectory state_ = *StateDirectory::Open(directory_.path());
};

TEST_F(JoinTokenTest, ATokenGrantsItsIdentityUntilItExpires) {
  JoinTokenStore store(state_);
  const std::string token =
      *CreateJoinToken(state_, {"shop", "tea", "shop/tea-1", absl::Hours(1)}, kNow);
  EXPECT_THAT(token, ::testing::MatchesRegex("weft-join-[A-Za-z0-9_-]{43}"));
  const absl::StatusOr<JoinToken> grant = store.Check(token, kNow);
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_EQ(grant->namespace_(), "shop");
  EXPECT_EQ(grant->service_account(), "tea");
  EXPECT_EQ(grant->workload(), "shop/tea-1");
  EXPECT_TRUE(store.Check(token, kNow + absl::Minutes(59)).ok());
  const absl::Status late = store.Check(token, kNow + absl::Hours(1)).status();
  EXPECT_EQ(late.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(late.message(), HasSubstr("expired"));
}

TEST_F(JoinTokenTest, OnlyTheHashIsStoredAndOnlyForTheOwner) {
  const std::string token = *CreateJoinToken(state_, {"shop", "tea"}, kNow);
  EXPECT_EQ(FileText().find(token), std::string::npos);
  EXPECT_EQ(FileText().find(token.substr(10)), std::string::npos);
  EXPECT_THAT(FileText(), HasSubstr(HashSecret(token)));
  struct stat info = {};
  ASSERT_EQ(stat((directory_ / "join-tokens.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(JoinTokenTest, WhatIsNoTokenIsUnknown) {
  JoinTokenStore store(state_);
  EXPECT_EQ(store.Check("weft-join-x", kNow).status().code(), absl::StatusCode::kUnauthenticated);
  const std::string token = *CreateJoinToken(state_, {"shop", "tea"}, kNow);
  for (const std::string& bad :
       {std::string(), std::string("weft-join-"), token.substr(1), token + "x",
        token.substr(0, token.size() - 1), HashSecret(token), std::string(100'000, 'a')}) {
    EXPECT_EQ(store.Check(bad, kNow).status().code(), absl::StatusCode::kUnauthenticated);
  }
}

TEST_F(JoinTokenTest, ATokenMadeLaterIsNoticed) {
  JoinTokenStore store(state_);
  const std::string first = *CreateJoinToken(state_, {"shop", "tea"}, kNow);
  EXPECT_TRUE(store.Check(first, kNow).ok());
  const std::string second = *CreateJoinToken(state_, {"shop", "coffee"}, kNow);
  EXPECT_EQ(store.Check(second, kNow)->service_account(), "coffee");
  EXPECT_TRUE(store.Check(first, kNow).ok());
}

TEST_F(JoinTokenTest, ManyWhoCreateAtOnceLoseNoToken) {
  constexpr int kThreads = 8;
  constexpr int kEach = 10;
  std::vector<std::vector<std::string>> made(kThreads);
  std::vector<std::thread> threads;
  for (std::vector<std::string>& mine : made) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i)
        mine.push_back(*CreateJoinToken(state_, {"shop", "tea"}, kNow));
    });
  }
  for (std::thread& thread : threads) thread.join();
  JoinTokenStore store(state_);
  std::set<std::string> all;
  for (const std::vector<std::string>& mine : made) {
    for (const std::string& token : mine) {
      EXPECT_TRUE(store.Check(token, kNow).ok());
      all.insert(token);
    }
  }
  EXPECT_EQ(all.size(), size_t{kThreads * kEach});
}

TEST_F(JoinTokenTest, ExpiredTokensLeaveTheFile) {
  const std::string old = *CreateJoinToken(state_, {"shop", "tea", "", absl::Seconds(5)}, kNow);
  EXPECT_THAT(FileText(), HasSubstr(HashSecret(old)));
  ASSERT_TRUE(CreateJoinToken(state_, {"shop", "tea"}, kNow + absl::Seconds(6)).ok());
  EXPECT_EQ(FileText().find(HashSecret(old)), std::string::npos);
}

TEST_F(JoinTokenTest, AGrantThatMakesNoSenseIsRefused) {
  for (const JoinGrant& bad : std::vector<JoinGrant>{
           {"", "tea"},
           {"shop", ""},
           {"Shop", "tea"},
           {"shop", "../tea"},
           {"shop", "tea", "tea-1"},
           {"shop", "tea", "other/tea-1"},
           {"shop", "tea", "shop/"},
           {"shop", "tea", "shop/a/b"},
           {"shop", "tea", "", absl::ZeroDuration()},
           {"shop", "tea", "", absl::Hours(24 * 400)},
       }) {
    EXPECT_EQ(CreateJoinToken(state_, bad, kNow).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(JoinTokenTest, ACorruptOrExposedFileIsAnErrorThatNamesIt) {
  JoinTokenStore store(state_);
  const std::string token = *CreateJoinToken(state_, {"shop", "tea"}, kNow);
  const std::string path = directory_ / "join-tokens.json";
  chmod(path.c_str(), 0644);
  EXPECT_THAT(store.Check(token, kNow).status().message(), HasSubstr("mode 0644"));
  std::ofstream(path) << "{\"tokens\": [";
  chmod(path.c_str(), 0600);
  for (const absl::Status& status : {store.Check(token, kNow).status(),
                                     CreateJoinToken(state_, {"shop", "tea"}, kNow).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr("join-tokens.json is corrupt"));
  }
}

}  // namespace
}  // namespace weft::ca
