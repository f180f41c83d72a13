#include "injector/webhook/identity.h"

#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/webhook/authority_for_test.h"

namespace weft::webhook {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

TEST(CertificateTest, AKeyAndItsChainBelongTogether) {
  AuthorityForTest authority;
  KeyPtr key = *GenerateKey();
  const absl::StatusOr<Signed> signed_chain = authority.Sign(*CreateRequest(key.get()));
  ASSERT_TRUE(signed_chain.ok()) << signed_chain.status();
  EXPECT_FALSE(ServingCertificate::Create(*GenerateKey(), signed_chain->chain_pem).ok());
  EXPECT_FALSE(ServingCertificate::Create(*GenerateKey(), "").ok());
  const auto serving = ServingCertificate::Create(std::move(key), signed_chain->chain_pem);
  ASSERT_TRUE(serving.ok()) << serving.status();
  EXPECT_TRUE((*serving)->IsFor("weft-injector.weft-system.svc"));
  EXPECT_FALSE((*serving)->IsFor("weft-injector.other.svc"));
  EXPECT_EQ((*serving)->not_after() - (*serving)->not_before(), absl::Hours(1));
}

TEST(CertificateTest, BundlesAreReadWithinBounds) {
  AuthorityForTest authority;
  const std::string root = authority.Root();
  EXPECT_THAT(*CertificatesIn(absl::StrCat("# text\n", root, "\n\n", root)),
              ElementsAre(root, root));
  EXPECT_THAT(*CertificatesIn("nothing"), IsEmpty());
  EXPECT_FALSE(
      CertificatesIn("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").ok());
  std::string many;
  for (int i = 0; i < 65; ++i) many += root;
  EXPECT_FALSE(CertificatesIn(many).ok());
}

class IdentityTest : public ::testing::Test {
 protected:
  IdentityTest() : bundle_(absl::StrCat(::testing::TempDir(), "/identity-root.pem")) {
    WriteBundle(authority_.Root());
  }

  void WriteBundle(const std::string& pem) {
    std::ofstream(absl::StrCat(bundle_, ".new")) << pem;
    std::filesystem::rename(absl::StrCat(bundle_, ".new"), bundle_);
  }

  ServingIdentity::Options Options() const {
    return {.trust_bundle_file = bundle_,
            .dns_name = "weft-injector.weft-system.svc",
            .look_again = absl::Milliseconds(10),
            .first_backoff = absl::Milliseconds(10),
            .max_backoff = absl::Milliseconds(20)};
  }

  const std::string bundle_;
  AuthorityForTest authority_;
  Metrics metrics_;
};

TEST_F(IdentityTest, WaitsForTheAuthorityAndThenIsUsable) {
  authority_.SetAvailable(false);
  ServingIdentity identity(Options(), authority_, metrics_);
  EXPECT_FALSE(identity.Usable());
  EXPECT_THAT(identity.Roots(), IsEmpty());
  EXPECT_EQ(identity.Current(), nullptr);
  authority_.SetAvailable(true);
  EXPECT_TRUE(Eventually([&] { return identity.Usable(); }));
  EXPECT_THAT(identity.Roots(), ElementsAre(authority_.Root()));
}

TEST_F(IdentityTest, RenewsWhenTwoThirdsOfALifeAreOver) {
  authority_.SetLifetime(absl::Seconds(1));
  ServingIdentity identity(Options(), authority_, metrics_);
  ASSERT_TRUE(Eventually([&] { return identity.Current() != nullptr; }));
  const auto first = identity.Current();
  EXPECT_TRUE(Eventually([&] { return identity.Current() != first; }));
}

TEST_F(IdentityTest, ANewRootIsAnnouncedAndUsedAtOnce) {
  ServingIdentity identity(Options(), authority_, metrics_);
  ASSERT_TRUE(Eventually([&] { return identity.Usable(); }));
  const auto first = identity.Current();
  const std::string old_root = authority_.Root();
  authority_.Rotate();
  WriteBundle(absl::StrCat(old_root, authority_.Root()));
  EXPECT_TRUE(Eventually([&] { return identity.Current() != first; }));
  EXPECT_THAT(identity.Roots(), SizeIs(2));
  WriteBundle("half a fi");
  EXPECT_THAT(identity.Roots(), SizeIs(2)) << "what is no bundle changes nothing";
  WriteBundle(authority_.Root());
  EXPECT_TRUE(Eventually([&] { return identity.Roots() == std::vector{authority_.Root()}; }));
}

TEST_F(IdentityTest, IsCounted) {
  ServingIdentity identity(Options(), authority_, metrics_);
  ASSERT_TRUE(Eventually([&] { return identity.Usable(); }));
  EXPECT_TRUE(Eventually([&] {
    return metrics_.Text().find("certificate_renewals_total{result=\"ok\"} 1") != std::string::npos;
  }));
}

}  // namespace
}  // namespace weft::webhook
