#include "control-plane/ca/supplied_signer.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "control-plane/ca/certificates_for_test.h"
#include "control-plane/ca/temporary_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::ca {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kSettle = absl::Seconds(30);
constexpr absl::Duration kLeaf = absl::Hours(1);
const SpiffeId kTea{"cluster.local", "shop", "tea"};

CaOptionsForTest Named(const std::string& name, KeyKind key = KeyKind::kP256) {
  CaOptionsForTest options;
  options.name = name;
  options.key = key;
  return options;
}

absl::Status Check(const SuppliedPem& pem) {
  return CheckSupplied(pem, "cluster.local", kNow).status();
}

TEST(CheckSuppliedTest, KeysThatUsersHaveAreTaken) {
  for (const KeyKind kind :
       {KeyKind::kP256, KeyKind::kP384, KeyKind::kRsa2048, KeyKind::kRsa4096}) {
    const CaForTest root = NewCaForTest(nullptr, Named("root", kind));
    const CaForTest middle = NewCaForTest(&root, Named("middle", kind));
    const absl::StatusOr<Trust> trust =
        CheckSupplied({middle.Pem(), middle.KeyPem(), root.Pem()}, "cluster.local", kNow);
    ASSERT_TRUE(trust.ok()) << trust.status();
    const Authority authority({.leaf_lifetime = kLeaf}, std::make_shared<const Trust>(*trust));
    const x509::PrivateKey key = *x509::PrivateKey::Generate();
    const Authority::Issued issued = *authority.IssueChain(key.Public(), kTea, {}, kNow, kLeaf);
    ASSERT_THAT(issued.chain_pem, SizeIs(2)) << "the leaf and its issuer";
    EXPECT_EQ(issued.chain_pem[1], middle.Pem());
    EXPECT_TRUE(
        x509::VerifyChain(issued.leaf, {middle.certificate}, {root.certificate}, kNow).ok());
    EXPECT_FALSE(x509::VerifyChain(issued.leaf, {}, {root.certificate}, kNow).ok());
  }
}

TEST(CheckSuppliedTest, ARootThatSignsItselfAndRootsInsideTheChainAreNotPresented) {
  const CaForTest root = NewCaForTest(nullptr, Named("root"));
  const CaForTest middle = NewCaForTest(&root, Named("middle"));
  const CaForTest lower = NewCaForTest(&middle, Named("lower"));
  EXPECT_THAT(
      CheckSupplied({root.Pem(), root.KeyPem(), root.Pem()}, "cluster.local", kNow)->intermediates,
      SizeIs(0));
  EXPECT_THAT(CheckSupplied(
                  {absl::StrCat(lower.Pem(), middle.Pem(), root.Pem()), lower.KeyPem(), root.Pem()},
                  "cluster.local", kNow)
                  ->intermediates,
              SizeIs(2));
}

TEST(CheckSuppliedTest, WhatPeersWouldRefuseIsRefusedBeforehand) {
  const CaForTest root = NewCaForTest(nullptr, Named("root"));
  const CaForTest middle = NewCaForTest(&root, Named("middle"));
  const CaForTest lower = NewCaForTest(&middle, Named("lower"));
  const CaForTest stranger = NewCaForTest(nullptr, Named("stranger"));
  const auto made = [&](const CaOptionsForTest& options) {
    const CaForTest ca = NewCaForTest(&root, options);
    return SuppliedPem{ca.Pem(), ca.KeyPem(), root.Pem()};
  };
  CaOptionsForTest leaf = Named("leaf");
  leaf.basic_constraints = "critical,CA:FALSE";
  CaOptionsForTest no_signing = Named("no signing");
  no_signing.key_usage = "critical,cRLSign";
  CaOptionsForTest expired = Named("expired");
  expired.lifetime = absl::Hours(1);
  CaOptionsForTest future = Named("future");
  future.from = kNow + absl::Hours(1);
  CaOptionsForTest servers = Named("servers only");
  servers.extended_key_usage = "serverAuth";
  CaOptionsForTest elsewhere = Named("elsewhere");
  elsewhere.name_constraints = "critical,permitted;URI:other.mesh";
  CaOptionsForTest shallow = Named("shallow");
  shallow.basic_constraints = "critical,CA:TRUE,pathlen:0";
  const CaForTest shallow_root = NewCaForTest(nullptr, shallow);
  const CaForTest below = NewCaForTest(&shallow_root, Named("below"));
  struct Case {
    const char* name;
    SuppliedPem pem;
    const char* words;
  };
  for (const Case& c : std::vector<Case>{
           {"no chain", {"", root.KeyPem(), root.Pem()}, "tls.crt"},
           {"no key", {middle.Pem(), "", root.Pem()}, "tls.key"},
           {"no roots", {middle.Pem(), middle.KeyPem(), ""}, "ca.crt"},
           {"another's key", {middle.Pem(), root.KeyPem(), root.Pem()}, "does not belong"},
           {"a leaf", made(leaf), "not a CA certificate"},
           {"may not sign", made(no_signing), "that may sign"},
           {"expired", made(expired), "expired at"},
           {"of the future", made(future), "valid only from"},
           {"weak RSA", made(Named("weak", KeyKind::kRsa1024)), "1024 bits"},
           {"odd curve", made(Named("odd", KeyKind::kP521)), "neither P-256 nor P-384"},
           {"servers only", made(servers), "extended key usage"},
           {"other names", made(elsewhere), "ca.crt"},
           {"too deep", {below.Pem(), below.KeyPem(), shallow_root.Pem()}, "path length"},
           {"gap", {lower.Pem(), lower.KeyPem(), root.Pem()}, "signed with it"},
           {"strange root", {middle.Pem(), middle.KeyPem(), stranger.Pem()}, "signed with it"},
       }) {
    const absl::Status status = Check(c.pem);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << c.name << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.words)) << c.name;
    EXPECT_EQ(status.message().find("PRIVATE"), absl::string_view::npos) << c.name;
  }
  CaOptionsForTest constrained = Named("constrained");
  constrained.name_constraints = "critical,permitted;URI:cluster.local";
  EXPECT_TRUE(Check(made(constrained)).ok()) << "names of this mesh are allowed";
}

// What a test says that there is.
class SourceForTest final : public SuppliedSource {
 public:
  explicit SourceForTest(absl::StatusOr<SuppliedPem>& pem) : pem_(pem) {}
  absl::StatusOr<SuppliedPem> Read() override { return pem_; }
  std::string Name() const override { return "Secret mesh/issuer"; }

 private:
  absl::StatusOr<SuppliedPem>& pem_;
};

class SuppliedKeeperTest : public ::testing::Test {
 protected:
  SuppliedKeeperTest() {
    keeper_ = *SuppliedKeeper::Open(std::make_unique<SourceForTest>(pem_), state_,
                                    {.authority = {.leaf_lifetime = kLeaf},
                                     .settle = kSettle,
                                     .all_acknowledged = [this] { return acknowledged_; }},
                                    now_);
  }
  absl::Status Pass(absl::Duration duration) { return keeper_->Refresh(now_ += duration); }
  std::shared_ptr<const Trust> Current() const { return keeper_->authority().Current(); }
  bool Signs(const CaForTest& ca) const {
    return Current()->signer.Fingerprint() == ca.certificate.Fingerprint();
  }
  SuppliedPem Of(const CaForTest& ca, const CaForTest& root) {
    return {ca.Pem(), ca.KeyPem(), root.Pem()};
  }

  absl::Time now_ = kNow;
  bool acknowledged_ = true;
  const CaForTest root_ = NewCaForTest(nullptr, Named("root"));
  const CaForTest other_root_ = NewCaForTest(nullptr, Named("other root"));
  const CaForTest first_ = NewCaForTest(&root_, Named("first"));
  const CaForTest second_ = NewCaForTest(&root_, Named("second"));
  const CaForTest other_ = NewCaForTest(&other_root_, Named("other"));
  absl::StatusOr<SuppliedPem> pem_ = Of(first_, root_);
  const TemporaryDirectory directory_;
  const StateDirectory state_ = *StateDirectory::Open(directory_.path());
  std::unique_ptr<SuppliedKeeper> keeper_;
};

TEST_F(SuppliedKeeperTest, ARenewalBelowTheSameRootSignsAtOnce) {
  EXPECT_TRUE(Signs(first_));
  pem_ = Of(second_, root_);
  ASSERT_TRUE(Pass(absl::Seconds(1)).ok());
  EXPECT_TRUE(Signs(second_));
  EXPECT_THAT(Current()->roots, SizeIs(1));
}

TEST_F(SuppliedKeeperTest, AnotherRootIsAnnouncedThenReliedOnThenTheOldOneGoes) {
  acknowledged_ = false;
  pem_ = Of(other_, other_root_);
  ASSERT_TRUE(Pass(absl::Seconds(1)).ok());
  EXPECT_TRUE(Signs(first_));
  EXPECT_THAT(Current()->roots, SizeIs(2));
  ASSERT_TRUE(Pass(kSettle + absl::Seconds(1)).ok());
  EXPECT_TRUE(Signs(first_)) << "not all sidecars know the new root";
  acknowledged_ = true;
  ASSERT_TRUE(Pass(absl::Seconds(1)).ok());
  EXPECT_TRUE(Signs(other_));
  EXPECT_THAT(Current()->roots, SizeIs(2));
  ASSERT_TRUE(Pass(kLeaf).ok());
  EXPECT_THAT(Current()->roots, SizeIs(2)) << "certificates of the old root may still live";
  ASSERT_TRUE(Pass(kLeaf / 10 + absl::Seconds(1)).ok());
  ASSERT_THAT(Current()->roots, SizeIs(1));
  EXPECT_EQ(Current()->roots[0].Fingerprint(), other_root_.certificate.Fingerprint());
}

TEST_F(SuppliedKeeperTest, WhatCannotBeUsedLeavesTheLastOneInForceAndIsTold) {
  for (const absl::StatusOr<SuppliedPem>& bad : std::vector<absl::StatusOr<SuppliedPem>>{
           absl::NotFoundError("gone"), absl::UnavailableError("away"), SuppliedPem{"x", "y", "z"},
           SuppliedPem{first_.Pem(), second_.KeyPem(), root_.Pem()}}) {
    pem_ = bad;
    EXPECT_FALSE(Pass(absl::Seconds(1)).ok());
    EXPECT_THAT(std::string(keeper_->problem().message()), HasSubstr("Secret mesh/issuer"));
    EXPECT_TRUE(Signs(first_));
  }
  pem_ = Of(second_, root_);
  EXPECT_TRUE(Pass(absl::Seconds(1)).ok());
  EXPECT_TRUE(keeper_->problem().ok());
  EXPECT_TRUE(Signs(second_));
}

TEST_F(SuppliedKeeperTest, AnExpiringOneIsToldOfWhenItHasEnded) {
  EXPECT_FALSE(Pass(absl::Hours(24 * 400)).ok());
  EXPECT_THAT(std::string(keeper_->problem().message()), HasSubstr("expired at"));
}

}  // namespace
}  // namespace weft::ca
