#include "control-plane/discovery/test_control_plane.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/x509_issuer.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace weft::discovery {

ResourcePtr TextCatalogue::Get(const compile::ResourceKey& key) {
  absl::MutexLock lock(&mu_);
  wanted_[key] = true;
  const auto found = resources_.find(key);
  return found == resources_.end() ? nullptr : found->second;
}

void TextCatalogue::Release(const compile::ResourceKey& key) {
  absl::MutexLock lock(&mu_);
  wanted_[key] = false;
}

std::optional<SpiffeId> TextCatalogue::IdentityOf(std::string_view workload) const {
  absl::MutexLock lock(&mu_);
  const auto found = pods_.find(std::string(workload));
  if (found == pods_.end()) return std::nullopt;
  return found->second;
}

void TextCatalogue::AddPod(const std::string& workload, const SpiffeId& identity) {
  absl::MutexLock lock(&mu_);
  pods_[workload] = identity;
}

void TextCatalogue::Set(const compile::ResourceKey& key, const std::string& bytes) {
  absl::MutexLock lock(&mu_);
  resources_[key] = std::make_shared<const compile::Resource>(
      compile::Resource{key, absl::StrCat("v", bytes.substr(0, 50)), bytes});
}

void TextCatalogue::Remove(const compile::ResourceKey& key) {
  absl::MutexLock lock(&mu_);
  resources_.erase(key);
}

bool TextCatalogue::AwaitReleased(const compile::ResourceKey& key) {
  absl::MutexLock lock(&mu_);
  const auto released = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !wanted_[key]; };
  return mu_.AwaitWithTimeout(absl::Condition(&released), absl::Seconds(10));
}

TestControlPlane::TestControlPlane(Limits limits, absl::Duration leaf_lifetime)
    : state(*ca::StateDirectory::Open(directory.path())),
      authority(*ca::Authority::Open(state, {.leaf_lifetime = leaf_lifetime}, absl::Now())),
      serving(*ca::ServingCertificate::Start(state, authority)),
      tokens(state),
      hub(catalogue, metrics, {.push_debounce = absl::Milliseconds(1), .limits = limits}),
      discovery(hub),
      certificates(
          authority, tokens,
          [this](std::string_view workload) { return catalogue.IdentityOf(workload); }, metrics) {
  server = *GrpcServer::Start("127.0.0.1:0", serving->Credentials(), {&discovery, &certificates});
}

TestControlPlane::~TestControlPlane() {
  hub.Drain();
  server->Shutdown(absl::Seconds(2));
}

std::shared_ptr<grpc::Channel> TestControlPlane::ConnectWith(const std::string& root_pem,
                                                             const std::string& key_pem,
                                                             const std::string& chain_pem) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = root_pem;
  options.pem_private_key = key_pem;
  options.pem_cert_chain = chain_pem;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("localhost");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server->port()),
                                   grpc::SslCredentials(options), arguments);
}

std::shared_ptr<grpc::Channel> TestControlPlane::Connect(const std::optional<SpiffeId>& identity) {
  if (!identity.has_value()) return ConnectWith(authority.RootsPem().front(), "", "");
  const x509::PrivateKey key = *x509::PrivateKey::Generate();
  const x509::Certificate certificate = *authority.Issue(key.Public(), *identity, {}, absl::Now());
  return ConnectWith(authority.RootsPem().front(), *key.ToPem(), *certificate.ToPem());
}

void TestControlPlane::Change(const compile::ResourceKey& key, const std::string& bytes) {
  catalogue.Set(key, bytes);
  hub.OnChanged({key});
}

void TestControlPlane::Remove(const compile::ResourceKey& key) {
  catalogue.Remove(key);
  hub.OnChanged({key});
}

TestSidecar::TestSidecar(std::shared_ptr<grpc::Channel> channel, std::string workload)
    : workload_(std::move(workload)), stub_(AdsService::NewStub(std::move(channel))) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  stream_ = stub_->DeltaAggregatedResources(&context_);
}

TestSidecar::~TestSidecar() {
  if (finished_) return;
  context_.TryCancel();
  stream_->Finish();
}

void TestSidecar::Send(Request request) {
  if (std::exchange(first_, false)) {
    request.mutable_node()->set_id(workload_);
    request.mutable_node()->set_user_agent_name("weft-sidecar");
    request.mutable_node()->set_user_agent_version("1.2.3");
  }
  stream_->Write(request);
}

void TestSidecar::Subscribe(compile::ResourceType type, const std::vector<std::string>& names,
                            const std::map<std::string, std::string>& versions) {
  Request request;
  request.set_type_url(std::string(compile::TypeUrl(type)));
  for (const std::string& name : names) request.add_resource_names_subscribe(name);
  for (const auto& [name, version] : versions) {
    (*request.mutable_initial_resource_versions())[name] = version;
  }
  Send(std::move(request));
}

void TestSidecar::Unsubscribe(compile::ResourceType type, const std::vector<std::string>& names) {
  Request request;
  request.set_type_url(std::string(compile::TypeUrl(type)));
  for (const std::string& name : names) request.add_resource_names_unsubscribe(name);
  Send(std::move(request));
}

void TestSidecar::Ack(const Response& response) {
  Request request;
  request.set_type_url(response.type_url());
  request.set_response_nonce(response.nonce());
  Send(std::move(request));
}

void TestSidecar::Nack(const Response& response, const std::string& why) {
  Request request;
  request.set_type_url(response.type_url());
  request.set_response_nonce(response.nonce());
  request.mutable_error_detail()->set_code(grpc::StatusCode::INVALID_ARGUMENT);
  request.mutable_error_detail()->set_message(why);
  Send(std::move(request));
}

TestSidecar::Response TestSidecar::Read() {
  Response response;
  stream_->Read(&response);
  return response;
}

grpc::Status TestSidecar::End() {
  stream_->WritesDone();
  return Ended();
}

grpc::Status TestSidecar::Ended() {
  Response ignored;
  while (stream_->Read(&ignored)) {
  }
  finished_ = true;
  return stream_->Finish();
}

}  // namespace weft::discovery
