// Certificates for service-account tokens, by way of gRPC.
#include "control-plane/ca/pod_token.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/x509_issuer.h"
#include "control-plane/ca/certificate_service.h"
#include "control-plane/ca/serving_certificate.h"
#include "control-plane/ca/temporary_directory.h"
#include "control-plane/grpc_server.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

namespace weft::ca {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Vouches for the tokens that a test names, on a thread of its own as a real one does.
class ReviewerForTest final : public PodTokenReviewer {
 public:
  ~ReviewerForTest() override {
    for (std::thread& thread : threads_) thread.join();
  }
  void Review(std::string token, Done done) override {
    const auto found = tokens.find(token);
    absl::StatusOr<PodToken> answer =
        found == tokens.end() ? absl::UnauthenticatedError("unknown token") : found->second;
    threads_.emplace_back([done = std::move(done), answer = std::move(answer)] { done(answer); });
  }
  std::map<std::string, absl::StatusOr<PodToken>> tokens;

 private:
  std::vector<std::thread> threads_;
};

class PodTokenTest : public ::testing::Test {
 protected:
  PodTokenTest() {
    reviewer_.tokens = {
        {"good.to.ken", PodToken{"shop", "tea", "tea-1", "uid-1"}},
        {"new.to.ken", PodToken{"shop", "tea", "brand-new", "uid-9"}},
        {"old.to.ken", PodToken{"shop", "tea", "tea-1", "uid-0"}},
        {"unbound.to.ken", PodToken{"shop", "tea", "", ""}},
        {"injector.to.ken", PodToken{"mesh", "weft-injector", "in-1", "uid-5"}},
        {"other.to.ken", PodToken{"shop", "weft-injector", "in-2", "uid-6"}},
        {"self.to.ken", PodToken{"weft-system", "weft-control-plane", "cp", "uid-7"}},
        {"away.to.ken", absl::UnavailableError("the API server is away")},
        {"many.to.ken", absl::ResourceExhaustedError("too many")}};
    server_ = *GrpcServer::Start("127.0.0.1:0", serving_->Credentials(), {&service_});
  }
  ~PodTokenTest() override { server_->Shutdown(absl::ZeroDuration()); }

  grpc::Status Sign(const std::string& token, const std::string& workload,
                    v1::SignResponse* response) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = authority_.RootsPem().front();
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("weft-control-plane.mesh.svc.cluster.local");
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    context.AddMetadata("authorization", "Bearer " + token);
    v1::SignRequest request;
    request.set_workload(workload);
    request.set_csr_pem(*x509::CreateRequest(key_, {"cluster.local", "shop", "whoever"}));
    return v1::CertificateService::NewStub(
               grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                         grpc::SslCredentials(tls), arguments))
        ->Sign(&context, request, response);
  }

  const TemporaryDirectory directory_;
  const StateDirectory state_ = *StateDirectory::Open(directory_.path());
  const Authority authority_ = *Authority::Open(state_, {}, absl::Now());
  const std::unique_ptr<ServingCertificate> serving_ =
      *ServingCertificate::Start(state_, authority_, "mesh");
  JoinTokenStore tokens_{state_};
  Metrics metrics_;
  ReviewerForTest reviewer_;
  CertificateService service_{
      authority_, tokens_, [](std::string_view) { return std::optional<SpiffeId>(); }, metrics_,
      CertificateService::Options{
          .reviewer = &reviewer_,
          .uid_of =
              [](std::string_view workload) { return workload == "shop/tea-1" ? "uid-1" : ""; },
          .named_identity = SpiffeId{"cluster.local", "mesh", "weft-injector"},
          .dns_names = {"weft-injector.mesh.svc", "weft-injector.mesh.svc.cluster.local"}}};
  std::unique_ptr<GrpcServer> server_;
  const x509::PrivateKey key_ = *x509::PrivateKey::Generate();
};

TEST_F(PodTokenTest, ATokenBuysTheIdentityOfItsAccountForItsPodAndNoOther) {
  for (const auto& [token, workload] : std::vector<std::pair<std::string, std::string>>{
           {"good.to.ken", "shop/tea-1"}, {"new.to.ken", "shop/brand-new"}}) {
    v1::SignResponse response;
    const grpc::Status status = Sign(token, workload, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    const x509::Certificate leaf = *x509::Certificate::FromPem(response.chain_pem(0));
    EXPECT_EQ(leaf.Identity()->ToString(), "spiffe://cluster.local/ns/shop/sa/tea");
    EXPECT_THAT(leaf.DnsNames(), IsEmpty());
  }
}

TEST_F(PodTokenTest, MisuseIsRefusedWithTheReason) {
  struct Case {
    const char* token;
    const char* workload;
    grpc::StatusCode code;
    const char* words;
  };
  using enum grpc::StatusCode;
  for (const Case& c : std::vector<Case>{
           {"good.to.ken", "shop/tea-2", PERMISSION_DENIED, "for workload shop/tea-1"},
           {"good.to.ken", "bank/tea-1", PERMISSION_DENIED, "for workload shop/tea-1"},
           {"good.to.ken", "", PERMISSION_DENIED, "for workload shop/tea-1"},
           {"old.to.ken", "shop/tea-1", PERMISSION_DENIED, "another pod that had the name"},
           {"unbound.to.ken", "shop/tea-1", PERMISSION_DENIED, "bound to no pod"},
           {"self.to.ken", "weft-system/cp", PERMISSION_DENIED, "the control plane's own identity"},
           {"forged.to.ken", "shop/tea-1", UNAUTHENTICATED, "unknown token"},
           {"away.to.ken", "shop/tea-1", UNAVAILABLE, "away"},
           {"many.to.ken", "shop/tea-1", RESOURCE_EXHAUSTED, "too many"},
           {"not-a-jwt", "shop/tea-1", UNAUTHENTICATED, "not known"},
       }) {
    v1::SignResponse response;
    const grpc::Status status = Sign(c.token, c.workload, &response);
    EXPECT_EQ(status.error_code(), c.code) << c.token << ": " << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(c.words)) << c.token;
    EXPECT_EQ(response.chain_pem_size(), 0);
  }
}

TEST_F(PodTokenTest, OnlyTheInjectorOfTheControlPlanesNamespaceGetsDnsNames) {
  v1::SignResponse response;
  ASSERT_TRUE(Sign("injector.to.ken", "mesh/in-1", &response).ok());
  EXPECT_THAT(x509::Certificate::FromPem(response.chain_pem(0))->DnsNames(),
              ElementsAre("weft-injector.mesh.svc", "weft-injector.mesh.svc.cluster.local"));
  ASSERT_TRUE(Sign("other.to.ken", "shop/in-2", &response).ok());
  EXPECT_THAT(x509::Certificate::FromPem(response.chain_pem(0))->DnsNames(), IsEmpty());
}

}  // namespace
}  // namespace weft::ca
