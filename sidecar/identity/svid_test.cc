#include "sidecar/identity/svid.h"

#include <functional>
#include <string>

#include "absl/time/clock.h"
#include "base/x509_issuer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::identity {
namespace {

using ::testing::HasSubstr;

// A CA, a key and the answer that the CA gives for it.
struct Fixture {
  x509::PrivateKey root_key = *x509::PrivateKey::Generate();
  x509::Certificate root = *x509::IssueRoot(root_key, {}, absl::Now());
  x509::PrivateKey key = *x509::PrivateKey::Generate();
  SpiffeId id = {"test.mesh", "shop", "web"};
  absl::Time now = absl::Now();

  std::string Leaf(const x509::PrivateKey& of, const SpiffeId& name) const {
    return *x509::IssueLeaf(root, root_key, of.Public(), {.identity = name}, now)->ToPem();
  }
  weft::v1::SignResponse Answer() const {
    weft::v1::SignResponse answer;
    answer.add_chain_pem(Leaf(key, id));
    answer.add_roots_pem(*root.ToPem());
    return answer;
  }
};

const Expected kExpected = {"test.mesh", "shop", "web"};

TEST(CheckAnswer, TakesACertificateForItsKeyAndItsName) {
  const Fixture f;
  const auto svid = CheckAnswer(f.key, f.Answer(), kExpected, f.now);
  ASSERT_TRUE(svid.ok()) << svid.status();
  EXPECT_EQ(svid->id, f.id);
  EXPECT_GT(svid->not_after(), f.now);
  EXPECT_TRUE(MakeContext(*svid, svid->roots_pem, {}).ok());
}

TEST(CheckAnswer, TakesAnyServiceAccountIfNoneIsExpected) {
  const Fixture f;
  EXPECT_TRUE(CheckAnswer(f.key, f.Answer(), {"test.mesh", "shop", ""}, f.now).ok());
}

TEST(CheckAnswer, RefusesWhatAControlPlaneMayNotGiveAndSaysWhat) {
  const Fixture f;
  const Fixture other;
  const struct {
    const char* name;
    std::function<void(weft::v1::SignResponse&)> change;
    Expected expected = kExpected;
    absl::Duration later = absl::ZeroDuration();
    std::string message;
  } cases[] = {
      {.name = "no chain",
       .change = [](auto& a) { a.clear_chain_pem(); },
       .message = "chain_pem is empty"},
      {.name = "no roots",
       .change = [](auto& a) { a.clear_roots_pem(); },
       .message = "roots_pem is empty"},
      {.name = "too long a chain",
       .change =
           [](auto& a) {
             for (int i = 0; i < 8; ++i) a.add_chain_pem(a.chain_pem(0));
           },
       .message = "chain_pem has 9 entries"},
      {.name = "no certificate",
       .change = [](auto& a) { a.set_chain_pem(0, "nonsense"); },
       .message = "chain_pem"},
      {.name = "another key",
       .change = [&](auto& a) { a.set_chain_pem(0, f.Leaf(other.key, f.id)); },
       .message = "another key"},
      {.name = "another service account",
       .change =
           [&](auto& a) { a.set_chain_pem(0, f.Leaf(f.key, {"test.mesh", "shop", "admin"})); },
       .message = "names spiffe://test.mesh/ns/shop/sa/admin"},
      {.name = "another namespace",
       .change = [](auto&) {},
       .expected = {"test.mesh", "bank", ""},
       .message = "expected spiffe://test.mesh/ns/bank/sa/..."},
      {.name = "another trust domain",
       .change = [](auto&) {},
       .expected = {"other.mesh", "shop", "web"},
       .message = "expected spiffe://other.mesh/"},
      {.name = "roots that it does not chain to",
       .change = [&](auto& a) { a.set_roots_pem(0, *other.root.ToPem()); },
       .message = "the certificate: "},
      {.name = "expired",
       .change = [](auto&) {},
       .later = absl::Hours(2),
       .message = "the certificate: "},
  };
  for (const auto& c : cases) {
    weft::v1::SignResponse answer = f.Answer();
    c.change(answer);
    const auto svid = CheckAnswer(f.key, answer, c.expected, f.now + c.later);
    EXPECT_EQ(svid.status().code(), absl::StatusCode::kInternal) << c.name;
    EXPECT_THAT(std::string(svid.status().message()), HasSubstr(c.message)) << c.name;
  }
}

}  // namespace
}  // namespace weft::identity
