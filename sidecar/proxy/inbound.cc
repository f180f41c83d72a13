#include "sidecar/proxy/inbound.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "sidecar/proxy/forward.h"
#include "sidecar/proxy/introduction.h"
#include "sidecar/proxy/relay.h"
#include "sidecar/proxy/serve.h"
#include "sidecar/proxy/violations.h"
#include "sidecar/proxy/worker.h"
#include "sidecar/tls/stream.h"

namespace weft::proxy {
namespace {

using weft::v1::Protocol;

// The caller as far as it is known.
struct Caller {
  std::string principal;  // SPIFFE ID; empty: plaintext
  bool meshed() const { return !principal.empty(); }
};

// The application, always the same.
class AppChooser final : public Chooser {
 public:
  // `tell_case`: the client's sidecar wants to know how the application spelt its fields' names.
  AppChooser(Worker& worker, const io::Address& address, upstream::Wire wire, bool tell_case)
      : worker_(worker), address_(address), wire_(wire), tell_case_(tell_case) {}

  io::Task<NoAttempt> Choose(upstream::Reuse reuse, io::Nanos deadline,
                             std::optional<Attempt>* attempt) override {
    absl::StatusOr<upstream::Lease> lease =
        co_await worker_.App(address_).Acquire(wire_, reuse, deadline);
    if (!lease.ok()) {
      co_return NoAttempt{ErrorOfConnect(lease.status()), std::string(lease.status().message())};
    }
    attempt->emplace(upstream::Load(), *std::move(lease));
    co_return NoAttempt{Error::kNone, ""};
  }

  void OnResponse(http::ResponseHead* head) override {
    head->headers.Remove(kFieldCaseHeader);
    if (tell_case_) AddFieldCase(&head->headers);
  }

 private:
  Worker& worker_;
  const io::Address address_;
  const upstream::Wire wire_;
  const bool tell_case_;
};

// Requests to one port of the application.
class InboundHandler final : public RequestHandler {
 public:
  InboundHandler(Worker& worker, const io::Address& address, Caller caller)
      : worker_(worker), address_(address), caller_(std::move(caller)), pod_(worker.pod()) {}

  io::Task<void> Handle(http::ServerExchange& exchange) override {
    const io::Nanos began = worker_.reactor.now();
    const LocalPod::Port& port = pod_->port(address_.port());
    http::RequestHead& request = exchange.mutable_request();
    // Kept apart: the field goes, and the request's strings move on.
    std::string introduction_text;
    if (caller_.meshed()) introduction_text = request.headers.Get(kIntroductionHeader).value_or("");
    request.headers.Remove(kIntroductionHeader);
    TakeFieldCase(caller_.meshed(), &request.headers);
    const Introduction introduction = ParseIntroduction(introduction_text);
    Outcome outcome;
    if (request.method == "CONNECT") {
      outcome.error = Error::kConnectRefused;
      outcome.status = StatusOf(outcome.error);
      RespondWithError(exchange, outcome.error, "");
    } else {
      AppChooser chooser(worker_, address_, WireOf(port.protocol, request, introduction),
                         caller_.meshed() && !introduction.http2);
      outcome = co_await Forward(exchange, chooser,
                                 {.options = worker_.options,
                                  .budget = worker_.retry_budget,
                                  .max_request_bytes = port.max_body_bytes,
                                  .caller_is_sidecar = caller_.meshed()});
    }
    Record(port, introduction, outcome, began);
  }

  void OnRefused() override { worker_.metrics->CountError(ReasonOf(Error::kBadRequest)); }

  void OnViolation(std::string_view code, std::string_view why) override {
    RecordViolation(worker_, "inbound", code, why);
  }

 private:
  // The application hears the version that its client speaks, unless the port's declaration says
  // otherwise.
  upstream::Wire WireOf(Protocol protocol, const http::RequestHead& request,
                        const Introduction& introduction) const {
    const bool client_speaks_http2 =
        caller_.meshed() ? introduction.http2 : request.version == http::Version::kHttp2;
    const bool http2 = protocol == weft::v1::PROTOCOL_HTTP2 ||
                       protocol == weft::v1::PROTOCOL_GRPC || client_speaks_http2;
    return http2 ? upstream::Wire::kHttp2 : upstream::Wire::kHttp1;
  }

  void Record(const LocalPod::Port& port, const Introduction& introduction, const Outcome& outcome,
              io::Nanos began) {
    if (outcome.error != Error::kNone) worker_.metrics->CountError(ReasonOf(outcome.error));
    CountRetries(*worker_.metrics, outcome);
    telemetry::RequestLabels labels;
    labels.reporter = telemetry::Reporter::kDestination;
    labels.source = {.workload = introduction.workload,
                     .name_space = introduction.name_space,
                     .principal = caller_.principal};
    labels.destination = {.workload = pod_->workload(),
                          .name_space = pod_->name_space(),
                          .principal = pod_->spiffe_id()};
    labels.service = port.service;
    labels.security =
        caller_.meshed() ? telemetry::Security::kMutualTls : telemetry::Security::kNone;
    labels.response_flags = FlagsOf(outcome.error);
    labels.response_code = static_cast<uint16_t>(outcome.status);
    labels.grpc = !outcome.grpc_status.empty();
    labels.grpc_response_status = outcome.grpc_status;
    worker_.metrics->Request(labels)->Record(worker_.reactor.now() - began, outcome.request_bytes,
                                             outcome.response_bytes);
  }

  Worker& worker_;
  const io::Address address_;
  const Caller caller_;
  // As it was when the connection came in: a port's declaration is not looked up twice for one
  // connection.
  const std::shared_ptr<const LocalPod> pod_;
};

// One inbound connection.
class Inbound {
 public:
  Inbound(Worker& worker, std::unique_ptr<io::Socket> socket)
      : worker_(worker), socket_(std::move(socket)) {}

  io::Task<void> Serve() {
    const std::optional<io::Address> target = socket_->original_destination();
    if (!target.has_value() || worker_.pod() == nullptr) {
      Refuse(target.has_value() ? Error::kControlPlaneUnavailable : Error::kUnknownDestination);
      co_return;
    }
    app_ = *target;
    const Protocol protocol = worker_.pod()->port(app_.port()).protocol;
    const bool server_may_speak_first = protocol != weft::v1::PROTOCOL_HTTP &&
                                        protocol != weft::v1::PROTOCOL_HTTP2 &&
                                        protocol != weft::v1::PROTOCOL_GRPC;
    Opening opening;
    {
      const UndecidedConnection undecided(&worker_.undecided_inbound, socket_.get());
      opening = co_await AwaitOpening(
          *socket_,
          worker_.reactor.now() +
              (server_may_speak_first ? worker_.options.detect_grace : worker_.options.client_idle),
          worker_.options.client_head, &undecided);
      if (undecided.leaving() && opening == Opening::kNeedMore) {
        worker_.undecided_inbound.GiveAway(*socket_);
        co_return;
      }
    }
    membership_.emplace(&worker_.inbound);
    // Taken in any mode: a peer may not have heard yet that the mode has become "off".
    if (opening == Opening::kMeshTls) {
      co_await ServeMesh();
    } else if (worker_.pod()->strict() &&
               (opening != Opening::kNeedMore || !server_may_speak_first)) {
      RefusePlaintext();
    } else {
      co_await ServePlaintext(opening, protocol);
    }
  }

 private:
  io::Task<void> ServeMesh() {
    if (worker_.identity.context == nullptr) {
      Refuse(Error::kNoCertificate);
      co_return;
    }
    const std::string peer = socket_->peer().ToString();
    absl::StatusOr<std::unique_ptr<tls::Stream>> stream = co_await tls::Accept(
        std::move(socket_), worker_.identity.context, Deadline(worker_.options.handshake_timeout));
    if (!stream.ok()) {
      worker_.metrics
          ->Counter("weft_tls_handshake_failures_total",
                    "TLS handshakes that failed, by who began them and why.",
                    {{"direction", "inbound"}, {"reason", tls::RefusalOf(stream.status())}})
          ->Add();
      if (const auto left_out = worker_.stranger_lines.Take(absl::Now())) {
        WEFT_LOG_WARN("inbound connection from {}: {}{}", peer, ToStd(stream.status().message()),
                      *left_out);
      }
      co_return;
    }
    Caller caller{.principal = (*stream)->peer_identity()};
    if ((*stream)->alpn() == tls::kAlpnHttp) {
      membership_.reset();
      co_await ServeHttp2(*std::move(stream), worker_.inbound, worker_.options,
                          std::make_shared<InboundHandler>(worker_, app_, std::move(caller)));
    } else {
      co_await ServeTcp(*std::move(stream), caller);
    }
  }

  io::Task<void> ServePlaintext(Opening opening, Protocol protocol) {
    const bool opaque = protocol == weft::v1::PROTOCOL_TCP || protocol == weft::v1::PROTOCOL_TLS;
    // What is declared as HTTP is read as HTTP, or refused: malformed beginnings, and slow ones,
    // are no way past the parser.
    const bool declared = protocol == weft::v1::PROTOCOL_HTTP ||
                          protocol == weft::v1::PROTOCOL_HTTP2 ||
                          protocol == weft::v1::PROTOCOL_GRPC;
    if (declared && (opening == Opening::kOther || opening == Opening::kNeedMore)) {
      opening = Opening::kHttp1;
    }
    if (opening == Opening::kNeedMore && !worker_.pod()->strict()) {
      // Silence: whoever speaks first decides, as on the outbound side.
      absl::StatusOr<std::unique_ptr<io::Socket>> app =
          co_await io::Connect(app_, Deadline(worker_.options.connect_timeout));
      if (!app.ok()) {
        Refuse(Error::kUpstreamConnectFailure);
        co_return;
      }
      membership_.emplace(&worker_.opaque);
      co_await Wait(socket_->readable(), (*app)->readable(), Deadline(worker_.options.tcp_idle));
      membership_.emplace(&worker_.inbound);
      opening = co_await AwaitOpening(*socket_, worker_.reactor.now(), worker_.options.client_head);
      if (opening == Opening::kMeshTls) {
        co_await ServeMesh();
        co_return;
      }
      if (opaque || (opening != Opening::kHttp1 && opening != Opening::kHttp2)) {
        co_await Relay(std::move(socket_), *std::move(app), Caller());
        co_return;
      }
    } else if (opening == Opening::kNeedMore) {
      // Strict: nothing may reach the application before the client has shown what it is.
      membership_.emplace(&worker_.opaque);
      opening = co_await AwaitOpening(*socket_, Deadline(worker_.options.client_idle),
                                      worker_.options.client_head);
      membership_.emplace(&worker_.inbound);
      if (opening == Opening::kMeshTls) {
        co_await ServeMesh();
      } else {
        RefusePlaintext();
      }
      co_return;
    }
    const bool http = opening == Opening::kHttp1 || opening == Opening::kHttp2;
    if (!opaque && http) membership_.reset();
    if (!opaque && opening == Opening::kHttp1) {
      co_await ServeHttp1(std::move(socket_), worker_.inbound, worker_.options,
                          std::make_shared<InboundHandler>(worker_, app_, Caller()));
    } else if (!opaque && opening == Opening::kHttp2) {
      co_await ServeHttp2(std::move(socket_), worker_.inbound, worker_.options,
                          std::make_shared<InboundHandler>(worker_, app_, Caller()));
    } else {
      co_await ServeTcp(std::move(socket_), Caller());
    }
  }

  io::Task<void> ServeTcp(std::unique_ptr<io::Stream> client, Caller caller) {
    absl::StatusOr<std::unique_ptr<io::Socket>> app =
        co_await io::Connect(app_, Deadline(worker_.options.connect_timeout));
    if (!app.ok()) {
      worker_.metrics->CountError(ReasonOf(Error::kUpstreamConnectFailure));
      client->ResetOnClose();
      co_return;
    }
    co_await Relay(std::move(client), *std::move(app), std::move(caller));
  }

  io::Task<void> Relay(std::unique_ptr<io::Stream> client, std::unique_ptr<io::Socket> app,
                       Caller caller) {
    const std::shared_ptr<const LocalPod> pod = worker_.pod();
    telemetry::TcpLabels labels;
    labels.reporter = telemetry::Reporter::kDestination;
    labels.source.principal = caller.principal;
    labels.destination = {.workload = pod->workload(),
                          .name_space = pod->name_space(),
                          .principal = pod->spiffe_id()};
    labels.service = pod->port(app_.port()).service;
    labels.security =
        caller.meshed() ? telemetry::Security::kMutualTls : telemetry::Security::kNone;
    telemetry::TcpSeriesRef series = worker_.metrics->Tcp(labels);
    series->Opened();
    const TcpTotals totals = co_await RelayTcp(*client, *app, worker_.options.tcp_idle);
    series->Received(totals.up);
    series->Sent(totals.down);
    series->Closed();
  }

  void RefusePlaintext() {
    if (const auto left_out = worker_.stranger_lines.Take(absl::Now())) {
      WEFT_LOG_WARN("inbound connection from {} to port {}: plaintext, but the mode is strict{}",
                    socket_->peer().ToString(), app_.port(), *left_out);
    }
    Refuse(Error::kMtlsRequired);
  }

  void Refuse(Error error) {
    worker_.metrics->CountError(ReasonOf(error));
    socket_->ResetOnClose();
  }

  io::Nanos Deadline(io::Nanos span) const { return worker_.reactor.now() + span; }

  Worker& worker_;
  std::unique_ptr<io::Socket> socket_;
  io::Address app_;
  // While it is nothing that says so itself.
  std::optional<ServedConnection> membership_;
};

}  // namespace

io::Task<void> ServeInbound(Worker& worker, std::unique_ptr<io::Socket> socket) {
  Inbound inbound(worker, std::move(socket));
  co_await inbound.Serve();
}

}  // namespace weft::proxy
