#include "sidecar/proxy/outbound.h"

#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "sidecar/proxy/forward.h"
#include "sidecar/proxy/mesh_chooser.h"
#include "sidecar/proxy/relay.h"
#include "sidecar/proxy/serve.h"
#include "sidecar/proxy/violations.h"
#include "sidecar/proxy/worker.h"

namespace weft::proxy {
namespace {

using discovery::Answer;
using discovery::DestinationRef;

telemetry::Peer Self(const LocalPod& pod) {
  return {.workload = pod.workload(), .name_space = pod.name_space(), .principal = pod.spiffe_id()};
}

telemetry::Peer Other(const upstream::EndpointConfig* endpoint) {
  if (endpoint == nullptr) return {};
  return {.workload = endpoint->workload,
          .name_space = endpoint->name_space,
          .principal = endpoint->spiffe_id};
}

// Requests to one dialled address.
class OutboundHandler final : public RequestHandler {
 public:
  OutboundHandler(Worker& worker, DestinationRef entry)
      : worker_(worker), entry_(std::move(entry)) {}

  io::Task<void> Handle(http::ServerExchange& exchange) override {
    const io::Nanos began = worker_.reactor.now();
    const http::RequestHead& request = exchange.request();
    MeshChooser chooser(worker_, entry_);
    chooser.SetRequest(&exchange);
    Outcome outcome;
    if (request.method == "CONNECT") {
      outcome.error = Error::kConnectRefused;
      outcome.status = StatusOf(outcome.error);
      RespondWithError(exchange, outcome.error, "");
    } else {
      outcome = co_await Forward(exchange, chooser,
                                 {.options = worker_.options, .budget = worker_.retry_budget});
    }
    Record(request, chooser, outcome, began);
  }

  void OnRefused() override { worker_.metrics->CountError(ReasonOf(Error::kBadRequest)); }

  void OnViolation(std::string_view code, std::string_view why) override {
    RecordViolation(worker_, "outbound", code, why);
  }

 private:
  void Record(const http::RequestHead& request, const MeshChooser& chooser, const Outcome& outcome,
              io::Nanos began) {
    if (outcome.error != Error::kNone) worker_.metrics->CountError(ReasonOf(outcome.error));
    CountRetries(*worker_.metrics, outcome);
    telemetry::RequestLabels labels;
    labels.reporter = telemetry::Reporter::kSource;
    labels.source = Self(*worker_.pod());
    labels.destination = Other(chooser.endpoint());
    labels.service = chooser.service();
    labels.host = request.authority;
    labels.response_flags = FlagsOf(outcome.error);
    labels.response_code = static_cast<uint16_t>(outcome.status);
    labels.grpc = !outcome.grpc_status.empty();
    labels.grpc_response_status = outcome.grpc_status;
    worker_.metrics->Request(labels)->Record(worker_.reactor.now() - began, outcome.request_bytes,
                                             outcome.response_bytes);
  }

  Worker& worker_;
  const DestinationRef entry_;
};

// One outbound connection.
class Outbound {
 public:
  Outbound(Worker& worker, std::unique_ptr<io::Socket> socket)
      : worker_(worker), socket_(std::move(socket)) {}

  io::Task<void> Serve() {
    const std::optional<io::Address> target = socket_->original_destination();
    if (!target.has_value()) {
      // Someone dialled the sidecar itself: forwarding would loop.
      Refuse(Error::kUnknownDestination);
      co_return;
    }
    DestinationRef entry = worker_.config.Lookup(*target);
    if (!entry) {
      Refuse(Error::kOverloaded);
      co_return;
    }
    membership_.emplace(&worker_.outbound);
    Answer answer = entry->answer();
    if (answer == Answer::kAsked) {
      answer = co_await worker_.config.Resolved(
          entry, worker_.reactor.now() + worker_.options.discovery_timeout);
    }
    // Without a word from the control plane we do not know who we are, nor what must be encrypted.
    if (worker_.pod() == nullptr) {
      Refuse(Error::kControlPlaneUnavailable);
      co_return;
    }
    switch (answer) {
      case Answer::kPresent:
        co_await ServeMesh(std::move(entry));
        co_return;
      case Answer::kAsked:
        // It may be a service of the mesh. Where plaintext is not allowed in, it would not get far
        // either.
        if (worker_.pod()->strict() || DeniesUnknown()) {
          Refuse(Error::kControlPlaneUnavailable);
          co_return;
        }
        break;
      case Answer::kAbsent:
        if (DeniesUnknown()) {
          Refuse(Error::kUnknownDestination);
          co_return;
        }
        break;
    }
    entry = {};
    co_await PassThrough(*target);
  }

 private:
  io::Task<void> ServeMesh(DestinationRef entry) {
    switch (entry->destination()->protocol()) {
      case weft::v1::PROTOCOL_TLS:
      case weft::v1::PROTOCOL_TCP:
        co_await ServeTcp(std::move(entry));
        co_return;
      case weft::v1::PROTOCOL_HTTP:
      case weft::v1::PROTOCOL_HTTP2:
      case weft::v1::PROTOCOL_GRPC:
        co_await ServeDeclaredHttp(std::move(entry));
        co_return;
      default:
        co_await ServeDetected(std::move(entry));
        co_return;
    }
  }

  io::Task<void> ServeDeclaredHttp(DestinationRef entry) {
    membership_.reset();
    Opening opening;
    {
      const UndecidedConnection undecided(&worker_.undecided_outbound, socket_.get());
      opening = co_await AwaitOpening(*socket_, Deadline(worker_.options.client_idle),
                                      worker_.options.client_head, &undecided);
      if (undecided.leaving() && opening == Opening::kNeedMore) {
        worker_.undecided_outbound.GiveAway(*socket_);
        co_return;
      }
    }
    co_await ServeHttp(std::move(entry), opening);
  }

  // A client that speaks first tells by its first bytes. Behind one that is silent the server may
  // be the one who speaks first: it is connected to, and whoever speaks decides.
  io::Task<void> ServeDetected(DestinationRef entry) {
    Opening opening = co_await AwaitOpening(*socket_, Deadline(worker_.options.detect_grace),
                                            worker_.options.client_head);
    if (opening == Opening::kNeedMore) {
      MeshChooser chooser(worker_, entry);
      std::optional<MeshChooser::TcpAttempt> attempt = co_await Open(chooser);
      if (!attempt.has_value()) co_return;
      membership_.emplace(&worker_.opaque);
      co_await Wait(socket_->readable(), attempt->stream->readable(),
                    Deadline(worker_.options.tcp_idle));
      // Peeked at without waiting: what is not there yet is the server's turn.
      opening = co_await AwaitOpening(*socket_, worker_.reactor.now(), worker_.options.client_head);
      if (opening != Opening::kHttp1 && opening != Opening::kHttp2) {
        co_await Relay(chooser, *std::move(attempt));
        co_return;
      }
      attempt->load.OnAbort(worker_.reactor.now());
    }
    if (opening == Opening::kHttp1 || opening == Opening::kHttp2) {
      co_await ServeHttp(std::move(entry), opening);
    } else {
      co_await ServeTcp(std::move(entry));
    }
  }

  io::Task<void> ServeHttp(DestinationRef entry, Opening opening) {
    auto handler = std::make_shared<OutboundHandler>(worker_, std::move(entry));
    membership_.reset();
    if (opening == Opening::kHttp2) {
      co_await ServeHttp2(std::move(socket_), worker_.outbound, worker_.options, handler);
    } else {
      co_await ServeHttp1(std::move(socket_), worker_.outbound, worker_.options, handler);
    }
  }

  io::Task<void> ServeTcp(DestinationRef entry) {
    MeshChooser chooser(worker_, std::move(entry));
    std::optional<MeshChooser::TcpAttempt> attempt = co_await Open(chooser);
    if (attempt.has_value()) co_await Relay(chooser, *std::move(attempt));
  }

  // Nothing of the client's bytes is sent before a connection stands, so each endpoint may be
  // tried.
  io::Task<std::optional<MeshChooser::TcpAttempt>> Open(MeshChooser& chooser) {
    std::optional<MeshChooser::TcpAttempt> attempt;
    for (int i = 1;; ++i) {
      const NoAttempt none =
          co_await chooser.ChooseTcp(Deadline(worker_.options.connect_timeout), &attempt);
      if (attempt.has_value()) co_return attempt;
      if (none.worth_another && i < worker_.options.max_attempts) continue;
      WEFT_LOG_DEBUG("outbound connection refused: {}: {}", ReasonOf(none.error), none.detail);
      RecordTcp(chooser, none.error);
      Refuse(none.error);
      co_return std::nullopt;
    }
  }

  io::Task<void> Relay(MeshChooser& chooser, MeshChooser::TcpAttempt attempt) {
    membership_.emplace(&worker_.opaque);
    telemetry::TcpSeriesRef series = RecordTcp(chooser, Error::kNone);
    const TcpTotals totals = co_await RelayTcp(*socket_, *attempt.stream, worker_.options.tcp_idle);
    attempt.load.OnDone(worker_.reactor.now(), true);
    series->Received(totals.up);
    series->Sent(totals.down);
    series->Closed();
  }

  telemetry::TcpSeriesRef RecordTcp(const MeshChooser& chooser, Error error) {
    telemetry::TcpLabels labels;
    labels.reporter = telemetry::Reporter::kSource;
    labels.source = Self(*worker_.pod());
    labels.destination = Other(chooser.endpoint());
    labels.service = chooser.service();
    labels.response_flags = FlagsOf(error);
    telemetry::TcpSeriesRef series = worker_.metrics->Tcp(labels);
    series->Opened();
    if (error != Error::kNone) series->Closed();
    return series;
  }

  // An address outside the mesh: bytes both ways, as if nobody stood between.
  io::Task<void> PassThrough(io::Address target) {
    telemetry::TcpLabels labels;
    labels.reporter = telemetry::Reporter::kSource;
    labels.source = Self(*worker_.pod());
    // One series for all: addresses outside are without number.
    labels.host = "PassthroughCluster";
    absl::StatusOr<std::unique_ptr<io::Socket>> upstream =
        co_await io::Connect(target, Deadline(worker_.options.connect_timeout));
    if (!upstream.ok()) {
      labels.response_flags = FlagsOf(Error::kUpstreamConnectFailure);
      telemetry::TcpSeriesRef series = worker_.metrics->Tcp(labels);
      series->Opened();
      series->Closed();
      Refuse(Error::kUpstreamConnectFailure);
      co_return;
    }
    membership_.emplace(&worker_.opaque);
    telemetry::TcpSeriesRef series = worker_.metrics->Tcp(labels);
    series->Opened();
    const TcpTotals totals = co_await RelayTcp(*socket_, **upstream, worker_.options.tcp_idle);
    series->Received(totals.up);
    series->Sent(totals.down);
    series->Closed();
  }

  bool DeniesUnknown() const {
    return worker_.config.settings() != nullptr &&
           worker_.config.settings()->deny_unknown_destinations();
  }

  // The client sees what it would see without us: a reset.
  void Refuse(Error error) {
    worker_.metrics->CountError(ReasonOf(error));
    socket_->ResetOnClose();
  }

  io::Nanos Deadline(io::Nanos span) const { return worker_.reactor.now() + span; }

  Worker& worker_;
  std::unique_ptr<io::Socket> socket_;
  // While it is nothing that says so itself.
  std::optional<ServedConnection> membership_;
};

}  // namespace

io::Task<void> ServeOutbound(Worker& worker, std::unique_ptr<io::Socket> socket) {
  Outbound outbound(worker, std::move(socket));
  co_await outbound.Serve();
}

}  // namespace weft::proxy
