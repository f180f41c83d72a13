// How long a change takes to reach a fleet of sidecars. Writes manifests of a mesh, connects as
// many sidecars as asked over mutual TLS to a control plane that runs on them, changes one
// service's endpoints again and again, and prints when the first, the median and the last sidecar
// had the change.
//
//   fleet_benchmark --directory D                        # writes D/m, waits for Enter
//   weft-control-plane --source dir:D/m --state D/state  # in another shell; then Enter

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/x509_key.h"
#include "control-plane/ca/authority.h"
#include "control-plane/compile/resource.h"
#include "envoy/service/discovery/v3/ads.grpc.pb.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace weft::discovery {
namespace {

using Ads = envoy::service::discovery::v3::AggregatedDiscoveryService;
using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
using Reply = envoy::service::discovery::v3::DeltaDiscoveryResponse;

constexpr int kServicesPerFile = 200;
constexpr int kWave = 100;  // sidecars that connect at a time

struct Options {
  std::string directory;
  std::string control_plane = "127.0.0.1:15012";
  int services = 1000;
  int endpoints = 10;  // of each service
  int sidecars = 2000;
  int changes = 20;
};

std::string PodName(int service, int endpoint) { return absl::StrCat("s", service, "-", endpoint); }

std::string Address(int service, int endpoint) {
  const int number = service * 16 + endpoint;
  return absl::StrCat("10.", 64 + (number >> 16), ".", (number >> 8) & 255, ".", number & 255);
}

void WriteAtomically(const std::string& path, const std::string& content) {
  const std::string hidden =
      absl::StrCat(std::filesystem::path(path).parent_path().string(), "/.new");
  std::ofstream(hidden) << content;
  std::filesystem::rename(hidden, path);
}

// The slice of service 0, whose number of ready endpoints changes.
std::string Slice(int service, int endpoints) {
  std::string text = absl::StrCat(
      "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s", service,
      "-x, namespace: fleet, labels: {kubernetes.io/service-name: s", service,
      "}}\naddressType: IPv4\nports: [{name: http, port: 8080, protocol: TCP}]\nendpoints:\n");
  for (int i = 0; i < endpoints; ++i) {
    absl::StrAppend(&text, "- {addresses: [", Address(service, i),
                    "], conditions: {ready: true}, targetRef: {kind: Pod, namespace: fleet, name: ",
                    PodName(service, i), "}}\n");
  }
  return text;
}

void WriteMesh(const Options& options) {
  const std::string manifests = options.directory + "/m";
  std::filesystem::create_directories(manifests);
  std::string text;
  for (int s = 0; s < options.services; ++s) {
    if (s > 0 && s % kServicesPerFile == 0) {
      WriteAtomically(absl::StrCat(manifests, "/mesh-", s, ".yaml"), std::exchange(text, ""));
    }
    absl::StrAppend(&text, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s", s,
                    ", namespace: fleet}\nspec: {clusterIP: 10.32.", s >> 8, ".", s & 255,
                    ", ports: [{name: http, port: 80, targetPort: 8080}]}\n");
    if (s > 0) text += Slice(s, options.endpoints);
    for (int i = 0; i < options.endpoints; ++i) {
      absl::StrAppend(
          &text, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: ", PodName(s, i),
          ", namespace: fleet, annotations: {weft.io/inject: enabled}}\n",
          "spec: {serviceAccountName: fleet, containers: [{name: c}]}\nstatus: {phase: ",
          "Running, podIP: ", Address(s, i), ", podIPs: [{ip: ", Address(s, i),
          "}], conditions: [{type: Ready, status: \"True\"}]}\n");
    }
  }
  WriteAtomically(manifests + "/mesh.yaml", text);
  WriteAtomically(manifests + "/changing.yaml", Slice(0, options.endpoints));
}

// One sidecar on an asynchronous stream: subscribes, and acknowledges whatever comes.
class Sidecar {
 public:
  Sidecar(std::shared_ptr<grpc::Channel> channel, std::string id, grpc::CompletionQueue& queue)
      : id_(std::move(id)),
        stub_(Ads::NewStub(std::move(channel))),
        stream_(stub_->AsyncDeltaAggregatedResources(&context_, &queue, &started_)) {
    for (Event* event : {&started_, &written_, &read_}) event->sidecar = this;
  }

  struct Event {
    Sidecar* sidecar;
  };

  // True if a response has come.
  bool Handle(const Event* event) {
    Request request;
    request.set_type_url(std::string(compile::TypeUrl(compile::ResourceType::kEndpoints)));
    if (event == &started_) {
      request.mutable_node()->set_id(id_);
      request.add_resource_names_subscribe("fleet/s0:80");
      stream_->Write(request, &written_);
      stream_->Read(&reply_, &read_);
      return false;
    }
    if (event == &written_) return false;
    request.set_response_nonce(reply_.nonce());
    stream_->Write(request, &written_);
    stream_->Read(&reply_, &read_);
    return true;
  }

 private:
  const std::string id_;
  std::unique_ptr<Ads::Stub> stub_;
  grpc::ClientContext context_;
  Reply reply_;
  Event started_, written_, read_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<Request, Reply>> stream_;
};

// Waits until every sidecar has had a response; the times since `start` in order.
std::vector<absl::Duration> AwaitAll(grpc::CompletionQueue& queue, int sidecars, absl::Time start) {
  std::vector<absl::Duration> times;
  void* tag = nullptr;
  bool ok = false;
  while (static_cast<int>(times.size()) < sidecars && queue.Next(&tag, &ok)) {
    if (!ok) {
      std::cerr << "a stream has failed\n";
      std::exit(1);
    }
    auto* event = static_cast<Sidecar::Event*>(tag);
    if (event->sidecar->Handle(event)) times.push_back(absl::Now() - start);
  }
  return times;
}

absl::Status Run(const Options& options) {
  WriteMesh(options);
  std::cout << "Manifests are in " << options.directory
            << "/m. Start the control plane, then press Enter." << std::endl;
  std::string line;
  std::getline(std::cin, line);

  absl::StatusOr<ca::StateDirectory> state = ca::StateDirectory::Open(options.directory + "/state");
  if (!state.ok()) return state.status();
  absl::StatusOr<ca::Authority> authority = ca::Authority::Open(*state, {}, absl::Now());
  if (!authority.ok()) return authority.status();
  const x509::PrivateKey key = *x509::PrivateKey::Generate();
  const x509::Certificate certificate = *authority->Issue(
      key.Public(), {authority->trust_domain(), "fleet", "fleet"}, {}, absl::Now());
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = authority->RootsPem().front();
  tls.pem_private_key = *key.ToPem();
  tls.pem_cert_chain = *certificate.ToPem();
  const auto credentials = grpc::SslCredentials(tls);
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("localhost");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);

  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<Sidecar>> sidecars;
  const absl::Time connecting = absl::Now();
  for (int i = 0; i < options.sidecars; ++i) {
    const std::string id = absl::StrCat(
        "fleet/", PodName(i / options.endpoints % options.services, i % options.endpoints));
    sidecars.push_back(std::make_unique<Sidecar>(
        grpc::CreateCustomChannel(options.control_plane, credentials, arguments), id, queue));
    const int wave = i % kWave + 1;
    if (wave == kWave || i + 1 == options.sidecars) AwaitAll(queue, wave, connecting);
  }
  std::cout << options.sidecars << " sidecars connected and served in "
            << absl::FormatDuration(absl::Trunc(absl::Now() - connecting, absl::Milliseconds(1)))
            << "\nchange  first   median  last (ms, from the write of the file)" << std::endl;
  for (int change = 1; change <= options.changes; ++change) {
    const absl::Time start = absl::Now();
    WriteAtomically(options.directory + "/m/changing.yaml",
                    Slice(0, 1 + change % options.endpoints));
    const std::vector<absl::Duration> times = AwaitAll(queue, options.sidecars, start);
    std::cout << absl::StrFormat("%-7d %-7.1f %-7.1f %.1f\n", change,
                                 absl::ToDoubleMilliseconds(times.front()),
                                 absl::ToDoubleMilliseconds(times[times.size() / 2]),
                                 absl::ToDoubleMilliseconds(times.back()))
              << std::flush;
  }
  std::_Exit(0);  // thousands of streams need no farewell
}

}  // namespace
}  // namespace weft::discovery

int main(int argc, char** argv) {
  CLI::App app("How long a change takes to reach a fleet of sidecars.", "fleet_benchmark");
  weft::discovery::Options options;
  app.add_option("--directory", options.directory, "Where manifests and state are")->required();
  app.add_option("--control-plane", options.control_plane, "ADDR:PORT")->capture_default_str();
  app.add_option("--services", options.services)->capture_default_str();
  app.add_option("--endpoints", options.endpoints, "Of each service, 1 to 16")
      ->capture_default_str()
      ->check(CLI::Range(1, 16));
  app.add_option("--sidecars", options.sidecars)->capture_default_str();
  app.add_option("--changes", options.changes)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = weft::discovery::Run(options);
  std::cerr << "fleet_benchmark: " << status.message() << std::endl;
  return 1;
}
