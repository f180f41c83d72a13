// Whatever a control plane says: each response is taken or refused with a reason, both are
// answered, and nothing is asked for without end.
//
// An input is a series of DeltaDiscoveryResponses (serialized, or in text format) between lines
// "---".
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/fuzz/message.h"
#include "sidecar/discovery/delta_session.h"
#include "sidecar/discovery/subscriptions.h"
#include "sidecar/io/reactor.h"
#include "weft/v1/discovery.pb.h"

namespace weft::discovery {
namespace {

constexpr std::string_view kSeparator = "\n---\n";
constexpr int kMaxResponses = 16;

void Require(bool condition) {
  if (!condition) std::abort();
}

// A worker that asks for a destination when it hears of one, as a proxy does.
class Worker final : public Subscriber {
 public:
  void OnDestination(const std::string&, Answer,
                     std::shared_ptr<const route::Destination>) override {}
  void OnEndpoints(const std::string&, Answer,
                   std::shared_ptr<const weft::v1::Endpoints>) override {}
  void OnWorkload(std::shared_ptr<const weft::v1::Workload>) override {}
  void OnSettings(std::shared_ptr<const weft::v1::MeshSettings>) override {}
};

// The requests that are due; a response can cause only so many.
int Drain(DeltaSession& session) {
  DeltaSession::Request request;
  int requests = 0;
  while (session.NextRequest(request)) Require(++requests < 10'000);
  return requests;
}

void Play(std::string_view input) {
  static io::Reactor* reactor = new io::Reactor;
  Worker worker;
  Subscriptions subscriptions("shop/web-1", "test.mesh", [](const weft::v1::TrustBundle& bundle) {
    return bundle.roots_pem_size() > 0 ? absl::OkStatus()
                                       : absl::InvalidArgumentError("roots_pem: no roots");
  });
  subscriptions.AddWorker(reactor, &worker);
  DeltaSession session("shop/web-1", &subscriptions, [] {});
  subscriptions.Want(&worker, OnDemand::kDestination, "10.96.0.1:80");
  subscriptions.Want(&worker, OnDemand::kEndpoints, "shop/tea:80");
  Require(Drain(session) > 0);
  for (int i = 0; i < kMaxResponses && !input.empty(); ++i) {
    const size_t end = input.find(kSeparator);
    DeltaSession::Response response;
    if (ParseFuzzedMessage(std::string(input.substr(0, end)), &response)) {
      const DeltaSession::Handled handled = session.Handle(response);
      Require(handled.accepted == handled.refusal.empty());
      const int requests = Drain(session);
      Require(!TypeOfUrl(response.type_url()) || requests > 0);
    }
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + kSeparator.size());
  }
  reactor->Post([] { io::Reactor::Current()->Stop(); });
  reactor->Run();
}

}  // namespace
}  // namespace weft::discovery

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::discovery::Play({reinterpret_cast<const char*>(data), size});
  return 0;
}
