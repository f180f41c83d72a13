#include "sidecar/discovery/testing/test_control_plane.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/x509_issuer.h"
#include "grpcpp/server_builder.h"

namespace weft::discovery {
namespace {

const std::string kPrefix = "type.googleapis.com/weft.v1.";

}  // namespace

TestControlPlane::TestControlPlane()
    : root_key_(*x509::PrivateKey::Generate()), key_(*x509::PrivateKey::Generate()) {
  root_ = *x509::IssueRoot(root_key_, {}, absl::Now());
  root_pem_ = *root_->ToPem();
  const SpiffeId id{kTrustDomain, "weft-system", "weft-control-plane"};
  chain_pem_ =
      *x509::IssueLeaf(*root_, root_key_, key_.Public(), {.identity = id}, absl::Now())->ToPem();
  Up();
}

TestControlPlane::~TestControlPlane() { Down(); }

std::string TestControlPlane::address() const { return absl::StrCat("127.0.0.1:", port_); }

void TestControlPlane::Up() {
  grpc::ServerBuilder builder;
  builder.RegisterService(
      static_cast<envoy::service::discovery::v3::AggregatedDiscoveryService::Service*>(this));
  builder.RegisterService(static_cast<weft::v1::CertificateService::Service*>(this));
  server_ = builder.BuildAndStart();
  front_ = std::make_unique<TlsFront>(server_.get(), chain_pem_, key_.get(), root_pem_, port_);
  port_ = front_->port();
}

void TestControlPlane::Down() {
  if (server_ == nullptr) return;
  front_.reset();
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void TestControlPlane::Set(const std::string& type, const std::string& name,
                           const google::protobuf::Message* message) {
  const std::lock_guard lock(mutex_);
  const std::pair key(kPrefix + type, name);
  if (message == nullptr) {
    resources_.erase(key);
  } else {
    resources_[key] = {absl::StrCat("v", next_version_++), message->SerializeAsString()};
  }
  for (Stream* stream : streams_) {
    if (stream->subscribed.contains(key)) Send(*stream, key.first, name, true);
  }
}

void TestControlPlane::SetDefaults(const std::string& workload) {
  weft::v1::Workload own;
  own.set_namespace_(workload.substr(0, workload.find('/')));
  own.set_pod(workload.substr(workload.find('/') + 1));
  Set("Workload", workload, &own);
  weft::v1::TrustBundle bundle;
  bundle.set_trust_domain(kTrustDomain);
  bundle.add_roots_pem(root_pem_);
  Set("TrustBundle", kTrustDomain, &bundle);
  weft::v1::MeshSettings settings;
  settings.set_trust_domain(kTrustDomain);
  Set("MeshSettings", "default", &settings);
}

void TestControlPlane::SetLeafLifetime(absl::Duration lifetime) {
  const std::lock_guard lock(mutex_);
  leaf_lifetime_ = lifetime;
}

std::vector<TestControlPlane::Request> TestControlPlane::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

int TestControlPlane::streams() const {
  const std::lock_guard lock(mutex_);
  return opened_streams_;
}

int TestControlPlane::signed_by_token() const {
  const std::lock_guard lock(mutex_);
  return signed_by_token_;
}

int TestControlPlane::signed_by_certificate() const {
  const std::lock_guard lock(mutex_);
  return signed_by_certificate_;
}

std::set<std::string> TestControlPlane::subscribed() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> all;
  for (const Stream* stream : streams_) {
    for (const auto& [type, name] : stream->subscribed) {
      all.insert(absl::StrCat(type.substr(kPrefix.size()), " ", name));
    }
  }
  return all;
}

void TestControlPlane::Send(Stream& stream, const std::string& type, const std::string& name,
                            bool removed_too) {
  Response response;
  response.set_type_url(type);
  response.set_nonce(absl::StrCat("n", next_version_++));
  const auto found = resources_.find({type, name});
  if (found == resources_.end()) {
    if (!removed_too) return;
    response.add_removed_resources(name);
  } else {
    auto* resource = response.add_resources();
    resource->set_name(name);
    resource->set_version(found->second.version);
    resource->mutable_resource()->set_type_url(type);
    resource->mutable_resource()->set_value(found->second.bytes);
  }
  stream.stream->Write(response);
}

grpc::Status TestControlPlane::DeltaAggregatedResources(
    grpc::ServerContext*, grpc::ServerReaderWriter<Response, Request>* grpc_stream) {
  Stream stream{grpc_stream, {}};
  {
    const std::lock_guard lock(mutex_);
    ++opened_streams_;
    streams_.insert(&stream);
  }
  Request request;
  while (grpc_stream->Read(&request)) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    for (const std::string& name : request.resource_names_subscribe()) {
      stream.subscribed.emplace(request.type_url(), name);
      const auto known = request.initial_resource_versions().find(name);
      const auto held = resources_.find({request.type_url(), name});
      if (known != request.initial_resource_versions().end() && held != resources_.end() &&
          known->second == held->second.version) {
        continue;
      }
      Send(stream, request.type_url(), name, true);
    }
    for (const std::string& name : request.resource_names_unsubscribe()) {
      stream.subscribed.erase({request.type_url(), name});
    }
  }
  const std::lock_guard lock(mutex_);
  streams_.erase(&stream);
  return grpc::Status::OK;
}

grpc::Status TestControlPlane::Sign(grpc::ServerContext* context,
                                    const weft::v1::SignRequest* request,
                                    weft::v1::SignResponse* response) {
  const auto authorization = context->client_metadata().find("authorization");
  const bool by_token = authorization != context->client_metadata().end();
  if (by_token && authorization->second != absl::StrCat("Bearer ", kToken)) {
    return {grpc::StatusCode::UNAUTHENTICATED, "unknown token"};
  }
  const absl::StatusOr<x509::PublicKey> key = x509::CheckRequest(request->csr_pem());
  if (!key.ok()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, std::string(key.status().message())};
  }
  const std::lock_guard lock(mutex_);
  const SpiffeId id{kTrustDomain, request->workload().substr(0, request->workload().find('/')),
                    "web"};
  const auto leaf = x509::IssueLeaf(*root_, root_key_, *key,
                                    {.identity = id, .lifetime = leaf_lifetime_}, absl::Now());
  if (!leaf.ok()) return {grpc::StatusCode::INTERNAL, std::string(leaf.status().message())};
  response->add_chain_pem(*leaf->ToPem());
  response->add_roots_pem(root_pem_);
  response->set_spiffe_id(id.ToString());
  ++(by_token ? signed_by_token_ : signed_by_certificate_);
  return grpc::Status::OK;
}

}  // namespace weft::discovery
