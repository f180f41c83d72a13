#include "sidecar/proxy/mesh_chooser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "sidecar/proxy/cluster.h"
#include "sidecar/proxy/introduction.h"
#include "sidecar/proxy/worker.h"

namespace weft::proxy {

using discovery::Answer;

// The rule by the request, the backend by weight. Endpoints that have never been asked for are
// waited for first.
io::Task<NoAttempt> MeshChooser::Decide(io::Nanos deadline) {
  for (;;) {
    destination_ = entry_->destination();
    if (destination_ == nullptr) {
      co_return NoAttempt{Error::kNoHealthyUpstream, "the service is gone"};
    }
    // Until a backend is chosen, and if none can be: a failed request counts against what was
    // called.
    service_ = destination_->service();
    const route::Rule* rule = destination_->MatchTcp();
    if (down_ != nullptr) {
      const http::RequestHead& request = down_->request();
      rule = destination_->Match(
          {.method = request.method, .path = request.path, .headers = request.headers});
    }
    discovery::EndpointsRef unanswered;
    for (const route::Backend& backend : rule->backends) {
      if (!backend.Eligible()) continue;
      discovery::EndpointsEntry* endpoints = entry_->endpoints(backend.endpoints_index);
      if (endpoints->answer() == Answer::kAsked) unanswered = discovery::EndpointsRef(endpoints);
    }
    if (unanswered) {
      if (co_await worker_.config.Resolved(unanswered, deadline) == Answer::kAsked) {
        co_return NoAttempt{
            Error::kControlPlaneUnavailable,
            absl::StrCat("the endpoints of ", unanswered->name(), " are not known yet")};
      }
      continue;  // the destination may have changed meanwhile
    }
    const auto live = [&](const route::Backend& backend) {
      return static_cast<Cluster*>(entry_->endpoints(backend.endpoints_index)->listener())
          ->set()
          .HasLive();
    };
    backend_ = route::PickLiveBackend(*rule, worker_.random, live);
    if (backend_ == nullptr) {
      const std::string_view why = WhyNoBackend(*rule);
      co_return NoAttempt{
          Error::kNoHealthyUpstream,
          absl::StrCat(destination_->service(), ": ",
                       why.empty() ? "no backend with weight has an endpoint" : ToAbsl(why))};
    }
    endpoints_ = discovery::EndpointsRef(entry_->endpoints(backend_->endpoints_index));
    service_ = backend_->service;
    co_return NoAttempt{Error::kNone, ""};
  }
}

io::Task<NoAttempt> MeshChooser::PickEndpoint(io::Nanos deadline, Pick* pick) {
  if (backend_ == nullptr) {
    NoAttempt undecided = co_await Decide(deadline);
    if (undecided.error != Error::kNone) co_return undecided;
  }
  upstream::EndpointSet& set = static_cast<Cluster*>(endpoints_->listener())->set();
  const io::Nanos now = worker_.reactor.now();
  pick->load = set.Pick(destination_->lb_method(), now, worker_.random, avoided_);
  if (!pick->load) pick->load = set.Pick(destination_->lb_method(), now, worker_.random, tried_);
  if (!pick->load) {
    const std::string none = absl::StrCat("no endpoint of ", service_, " can be reached");
    if (last_failure_.error != Error::kNone) {
      co_return NoAttempt{last_failure_.error, absl::StrCat(none, ": ", last_failure_.detail)};
    }
    co_return NoAttempt{
        tried_.size() == 0 ? Error::kNoHealthyUpstream : Error::kUpstreamConnectFailure, none};
  }
  upstream::Endpoint& endpoint = pick->load.endpoint();
  endpoint_ = endpoint.shared_config();
  if (endpoint.attachment() == nullptr) {
    endpoint.Attach(std::make_unique<upstream::Pools>(endpoint_->address, endpoint_->spiffe_id,
                                                      &worker_.identity, &worker_.options.pools));
  }
  pick->pools = static_cast<upstream::Pools*>(endpoint.attachment());
  pick->deadline = deadline;
  if (const std::optional<absl::Duration> timeout = destination_->connect_timeout()) {
    pick->deadline = now + absl::ToInt64Nanoseconds(*timeout);
  } else if (set.endpoints().size() > tried_.size() + 1) {
    pick->deadline = std::min(deadline, now + worker_.options.first_connect_timeout);
  }
  co_return NoAttempt{Error::kNone, ""};
}

// Traffic of a pod to itself does not leave it and does not pass its own inbound side: it needs no
// mTLS.
upstream::Wire MeshChooser::WireTo(const upstream::EndpointConfig& endpoint) const {
  const LocalPod& pod = *worker_.pod();
  if (endpoint.meshed && !pod.off() && !pod.Owns(endpoint.address)) return upstream::Wire::kMesh;
  const weft::v1::Protocol protocol = destination_->protocol();
  const bool http2 = protocol == weft::v1::PROTOCOL_HTTP2 || protocol == weft::v1::PROTOCOL_GRPC ||
                     (down_ != nullptr && down_->request().version == http::Version::kHttp2);
  return http2 ? upstream::Wire::kHttp2 : upstream::Wire::kHttp1;
}

NoAttempt MeshChooser::Blame(upstream::Load& load, const absl::Status& status) {
  load.OnDone(worker_.reactor.now(), false);
  tried_.Add(load.endpoint_ref());
  avoided_.Add(load.endpoint_ref());
  last_failure_ = {ErrorOfConnect(status), std::string(status.message()), /*worth_another=*/true};
  return last_failure_;
}

void MeshChooser::Avoid(const Attempt& attempt, bool never) {
  if (never) tried_.Add(attempt.load.endpoint_ref());
  avoided_.Add(attempt.load.endpoint_ref());
}

// By their number: endpoints that were tried and have left the service meanwhile make it too small,
// which loses a chance and no request.
bool MeshChooser::HasOther(const Attempt& attempt) const {
  const upstream::EndpointSet& set = static_cast<Cluster*>(endpoints_->listener())->set();
  return set.endpoints().size() > avoided_.size() + 1;
}

io::Task<NoAttempt> MeshChooser::Choose(upstream::Reuse reuse, io::Nanos deadline,
                                        std::optional<Attempt>* attempt) {
  Pick pick;
  NoAttempt none = co_await PickEndpoint(deadline, &pick);
  if (none.error != Error::kNone) co_return none;
  const upstream::Wire wire = WireTo(*endpoint_);
  mesh_ = wire == upstream::Wire::kMesh;
  http::RequestHead& request = down_->mutable_request();
  request.headers.Remove(kIntroductionHeader);
  request.headers.Remove(kFieldCaseHeader);
  if (mesh_) {
    if (request.version != http::Version::kHttp2) AddFieldCase(&request.headers);
    request.headers.Add(kIntroductionHeader,
                        Introduce(worker_.pod()->introduction(),
                                  request.version == http::Version::kHttp2, &introduction_));
  }
  absl::StatusOr<upstream::Lease> lease = co_await pick.pools->Acquire(wire, reuse, pick.deadline);
  if (!lease.ok()) co_return Blame(pick.load, lease.status());
  attempt->emplace(std::move(pick.load), *std::move(lease), mesh_);
  co_return NoAttempt{Error::kNone, ""};
}

void MeshChooser::OnResponse(http::ResponseHead* head) {
  TakeFieldCase(/*from_sidecar=*/mesh_, &head->headers);
}

io::Task<NoAttempt> MeshChooser::ChooseTcp(io::Nanos deadline, std::optional<TcpAttempt>* attempt) {
  Pick pick;
  NoAttempt none = co_await PickEndpoint(deadline, &pick);
  if (none.error != Error::kNone) co_return none;
  mesh_ = WireTo(*endpoint_) == upstream::Wire::kMesh;
  absl::StatusOr<std::unique_ptr<io::Stream>> stream =
      co_await pick.pools->OpenTcp(mesh_, pick.deadline);
  if (!stream.ok()) co_return Blame(pick.load, stream.status());
  pick.load.OnHead(worker_.reactor.now());
  attempt->emplace(std::move(pick.load), *std::move(stream));
  co_return NoAttempt{Error::kNone, ""};
}

}  // namespace weft::proxy
