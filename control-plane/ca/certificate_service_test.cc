#include "control-plane/ca/certificate_service.h"

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/x509_certificate.h"
#include "base/x509_issuer.h"
#include "control-plane/ca/serving_certificate.h"
#include "control-plane/ca/temporary_directory.h"
#include "control-plane/grpc_server.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/time_util.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

namespace weft::ca {
namespace {

using ::testing::HasSubstr;

const SpiffeId kTea{"cluster.local", "shop", "tea"};
const SpiffeId kCoffee{"cluster.local", "shop", "coffee"};

// The service on a loopback port with TLS, and callers with and without certificates.
class CertificateServiceTest : public ::testing::Test {
 protected:
  CertificateServiceTest() {
    server_ = *GrpcServer::Start("127.0.0.1:0", serving_->Credentials(), {&service_});
  }
  ~CertificateServiceTest() override { server_->Shutdown(absl::ZeroDuration()); }

  std::shared_ptr<grpc::Channel> Connect(const std::optional<SpiffeId>& identity) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = authority_.RootsPem().front();
    if (identity.has_value()) {
      const x509::PrivateKey key = *x509::PrivateKey::Generate();
      tls.pem_private_key = *key.ToPem();
      tls.pem_cert_chain = *authority_.Issue(key.Public(), *identity, {}, absl::Now())->ToPem();
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("weft-control-plane.weft-system.svc");
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                     grpc::SslCredentials(tls), arguments);
  }

  struct Outcome {
    grpc::Status status;
    v1::SignResponse response;
  };
  Outcome Sign(const std::shared_ptr<grpc::Channel>& channel, const std::string& token,
               const std::string& workload, const std::string& csr_pem) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    v1::SignRequest request;
    request.set_workload(workload);
    request.set_csr_pem(csr_pem);
    Outcome outcome;
    outcome.status =
        v1::CertificateService::NewStub(channel)->Sign(&context, request, &outcome.response);
    return outcome;
  }

  std::string NewToken(const JoinGrant& grant, absl::Time now = absl::Now()) {
    return *CreateJoinToken(state_, grant, now);
  }

  const TemporaryDirectory directory_;
  const StateDirectory state_ = *StateDirectory::Open(directory_.path());
  const Authority authority_ =
      *Authority::Open(state_, {.leaf_lifetime = absl::Minutes(30)}, absl::Now());
  const std::unique_ptr<ServingCertificate> serving_ =
      *ServingCertificate::Start(state_, authority_);
  JoinTokenStore tokens_{state_};
  Metrics metrics_;
  CertificateService service_{authority_, tokens_,
                              [](std::string_view workload) -> std::optional<SpiffeId> {
                                if (workload == "shop/tea-1" || workload == "shop/tea-2") {
                                  return kTea;
                                }
                                if (workload == "shop/coffee-1") return kCoffee;
                                return std::nullopt;
                              },
                              metrics_};
  std::unique_ptr<GrpcServer> server_;
  const x509::PrivateKey key_ = *x509::PrivateKey::Generate();
  const std::string csr_ = *x509::CreateRequest(key_, kTea);
};

TEST_F(CertificateServiceTest, AJoinTokenBuysACertificateOfItsIdentity) {
  const std::string token = NewToken({"shop", "tea", "shop/tea-1"});
  const Outcome outcome = Sign(Connect(std::nullopt), token, "shop/tea-1", csr_);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  ASSERT_EQ(outcome.response.chain_pem_size(), 1);
  const x509::Certificate leaf = *x509::Certificate::FromPem(outcome.response.chain_pem(0));
  EXPECT_EQ(*leaf.Identity(), kTea);
  EXPECT_TRUE(leaf.BelongsTo(key_));
  EXPECT_EQ(outcome.response.spiffe_id(), kTea.ToString());
  EXPECT_EQ(outcome.response.not_after().seconds(), absl::ToUnixSeconds(leaf.NotAfter()));
  EXPECT_LE(leaf.NotAfter() - absl::Now(), absl::Minutes(30));
  ASSERT_EQ(outcome.response.roots_pem_size(), 1);
  const x509::Certificate root = *x509::Certificate::FromPem(outcome.response.roots_pem(0));
  EXPECT_TRUE(x509::VerifyChain(leaf, {}, {root}, absl::Now()).ok());
  EXPECT_THAT(metrics_.Text(), HasSubstr("weft_control_plane_certificates_signed_total 1"));
}

TEST_F(CertificateServiceTest, WhateverARequestAsksForItGetsTheIdentityOfItsCredential) {
  const std::string greedy = *x509::CreateRequest(key_, {"cluster.local", "kube-system", "admin"});
  const Outcome outcome =
      Sign(Connect(std::nullopt), NewToken({"shop", "tea"}), "shop/tea-2", greedy);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  EXPECT_EQ(*x509::Certificate::FromPem(outcome.response.chain_pem(0))->Identity(), kTea);
}

TEST_F(CertificateServiceTest, AMeshCertificateIsRenewedWithoutAToken) {
  const Outcome outcome = Sign(Connect(kTea), "", "shop/tea-1", csr_);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  EXPECT_EQ(outcome.response.spiffe_id(), kTea.ToString());
  // An old token beside it does not matter.
  EXPECT_TRUE(Sign(Connect(kTea), "weft-join-old", "shop/tea-1", csr_).status.ok());
}

TEST_F(CertificateServiceTest, MisuseIsRefusedWithTheReason) {
  const std::string tea = NewToken({"shop", "tea"});
  const std::string tea_1 = NewToken({"shop", "tea", "shop/tea-1"});
  const std::string other_space = NewToken({"bank", "tea"});
  // Last: making another would drop it from the file.
  const std::string expired =
      NewToken({"shop", "tea", "", absl::Seconds(10)}, absl::Now() - absl::Minutes(1));
  struct Case {
    std::string token;
    std::optional<SpiffeId> certificate;
    std::string workload;
    std::string csr;
    grpc::StatusCode code;
    const char* message;
  };
  using enum grpc::StatusCode;
  for (const Case& c : std::vector<Case>{
           {"", std::nullopt, "shop/tea-1", csr_, UNAUTHENTICATED, "no credential"},
           {"weft-join-unknown", std::nullopt, "shop/tea-1", csr_, UNAUTHENTICATED, "not known"},
           {expired, std::nullopt, "shop/tea-1", csr_, UNAUTHENTICATED, "expired"},
           {tea_1, std::nullopt, "shop/tea-2", csr_, PERMISSION_DENIED, "for workload shop/tea-1"},
           {tea, std::nullopt, "shop/coffee-1", csr_, PERMISSION_DENIED, "the caller is"},
           {tea, std::nullopt, "shop/unknown", csr_, PERMISSION_DENIED, "try again"},
           {other_space, std::nullopt, "shop/tea-1", csr_, PERMISSION_DENIED,
            "not in the namespace"},
           {tea, std::nullopt, "", csr_, INVALID_ARGUMENT, "workload"},
           {tea, std::nullopt, "shop/tea-1/x", csr_, INVALID_ARGUMENT, "workload"},
           {tea, std::nullopt, "shop/tea-1", "", INVALID_ARGUMENT, "csr_pem is empty"},
           {tea, std::nullopt, "shop/tea-1", "x", INVALID_ARGUMENT, "PKCS#10"},
           {tea, std::nullopt, "shop/tea-1", std::string(20'000, 'x'), INVALID_ARGUMENT, "16 KiB"},
           {"", kTea, "shop/coffee-1", csr_, PERMISSION_DENIED, "the caller is"},
           {"", SpiffeId{"other.mesh", "shop", "tea"}, "shop/tea-1", csr_, UNAUTHENTICATED,
            "trust domain"},
           {"", ControlPlaneIdentity("cluster.local"), "shop/tea-1", csr_, PERMISSION_DENIED,
            "not in the namespace"},
       }) {
    const Outcome outcome = Sign(Connect(c.certificate), c.token, c.workload, c.csr);
    EXPECT_EQ(outcome.status.error_code(), c.code) << outcome.status.error_message();
    EXPECT_THAT(outcome.status.error_message(), HasSubstr(c.message));
    EXPECT_EQ(outcome.response.chain_pem_size(), 0);
    if (!c.token.empty()) {
      EXPECT_EQ(outcome.status.error_message().find(c.token), std::string::npos);
    }
  }
}

TEST_F(CertificateServiceTest, AWorkloadThatAsksTooOftenIsHeldBackAndOthersAreNot) {
  const CertificateService::Credentials tea{kTea, ""};
  v1::SignRequest request;
  request.set_csr_pem(csr_);
  request.set_workload("shop/tea-1");
  const absl::Time now = absl::Now();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(service_.Issue(tea, request, now).ok());
  EXPECT_EQ(service_.Issue(tea, request, now).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(service_.Issue(tea, request, now + absl::Seconds(1)).ok());
  request.set_workload("shop/tea-2");
  EXPECT_TRUE(service_.Issue(tea, request, now).ok());
}

TEST_F(CertificateServiceTest, UnreadableJoinTokensAreTheControlPlanesFaultNotTheCallers) {
  const std::string token = NewToken({"shop", "tea"});
  ASSERT_TRUE(state_.Write("join-tokens.json", "{", 0600).ok());
  const Outcome outcome = Sign(Connect(std::nullopt), token, "shop/tea-1", csr_);
  EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(CertificateServiceTest, TheServingCertificateNamesTheControlPlane) {
  const x509::Certificate serving =
      *x509::Certificate::FromPem(*state_.ReadSecret(kServingFile, 64 * 1024));
  EXPECT_EQ(*serving.Identity(), ControlPlaneIdentity("cluster.local"));
  EXPECT_EQ(serving.DnsNames(), ControlPlaneDnsNames());
}

TEST_F(CertificateServiceTest, NewConnectionsGetTheRenewedServingCertificate) {
  const std::string before = *state_.ReadSecret(kServingFile, 64 * 1024);
  ASSERT_TRUE(serving_->Renew(absl::Now()).ok());
  const std::string after = *state_.ReadSecret(kServingFile, 64 * 1024);
  EXPECT_NE(before, after);
  // gRPC looks at the file once a second; until then it serves the old one, which is valid as well.
  const absl::Time deadline = absl::Now() + absl::Seconds(15);
  std::string seen;
  const std::string wanted = *x509::Certificate::FromPem(after)->ToPem();
  while (seen != wanted && absl::Now() < deadline) {
    grpc::ClientContext context;
    v1::SignResponse response;
    const auto channel = Connect(std::nullopt);
    v1::CertificateService::NewStub(channel)->Sign(&context, v1::SignRequest(), &response);
    const auto chain = context.auth_context()->FindPropertyValues("x509_pem_cert");
    if (!chain.empty()) seen = std::string(chain[0].data(), chain[0].size());
  }
  EXPECT_EQ(seen, wanted);
}

}  // namespace
}  // namespace weft::ca
