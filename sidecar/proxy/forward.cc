#include "sidecar/proxy/forward.h"

#include <optional>
#include <utility>

#include "sidecar/io/join.h"
#include "sidecar/io/reactor.h"
#include "sidecar/proxy/relay.h"

namespace weft::proxy {
namespace {

using http::ClientExchange;
using http::Incoming;
using http::RequestHead;
using http::ServerExchange;

io::Nanos Now() { return io::Reactor::Current()->now(); }

// Ahead of one response. Each costs its sender little.
constexpr int kMaxInformational = 32;

// RFC 9110 section 9.2.2.
bool IsIdempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS" || method == "TRACE";
}

// One attempt: the request goes up while the response comes down.
class Exchange {
 public:
  Exchange(ServerExchange& down, ClientExchange& up, Chooser& chooser, const Options& options,
           uint64_t max_request_bytes, Outcome* outcome, upstream::Load* load)
      : down_(down),
        up_(up),
        chooser_(chooser),
        options_(options),
        max_request_bytes_(max_request_bytes == 0 ? UINT64_MAX : max_request_bytes),
        outcome_(outcome),
        load_(load) {}

  io::Task<void> Run() {
    const RequestHead& request = down_.request();
    up_.Send(request);
    if (request.has_body) {
      co_await io::Both(ReceiveResponse(), SendRequestBody());
    } else {
      co_await ReceiveResponse();
    }
  }

  bool responded() const { return responded_; }
  Error error() const { return error_; }
  const std::string& detail() const { return detail_; }
  // Instead of the error's usual one; 0: that.
  int answer_status() const { return answer_status_; }
  // Nothing of the client's body is gone, so the same request can be sent again.
  bool body_at_hand() const { return outcome_->request_bytes == 0; }

 private:
  io::Task<void> SendRequestBody() {
    const BodyOutcome sent = co_await RelayBody(down_, up_,
                                                {.max_bytes = max_request_bytes_,
                                                 .idle = options_.stream_idle,
                                                 .stop = &stop_,
                                                 .moved = &moved_},
                                                &outcome_->request_bytes);
    switch (sent) {
      case BodyOutcome::kComplete:
      case BodyOutcome::kStopped:
        co_return;
      case BodyOutcome::kSinkFailed:
        // The upstream may have answered all the same (413 and a close): whoever reads the response
        // knows.
        co_return;
      case BodyOutcome::kSourceFailed:
        if (const std::string_view flaw = down_.flaw(); !flaw.empty()) {
          Stop(Error::kBadRequest, flaw);
        } else {
          Stop(Error::kDownstreamGone, "the client broke off its request");
        }
        co_return;
      case BodyOutcome::kTooLarge:
        Stop(Error::kBodyTooLarge, "");
        co_return;
      case BodyOutcome::kIdle:
        // Who is to blame: the client that sends nothing, or the upstream that takes nothing?
        if (down_.Peek().state == Incoming::State::kWouldBlock) {
          answer_status_ = 408;
          Stop(Error::kBadRequest, "the request's body did not come in time");
        } else {
          Stop(Error::kUpstreamTimeout, "the request's body did not move");
        }
        co_return;
    }
  }

  io::Task<void> ReceiveResponse() {
    co_await ReceiveHead();
    if (responded_ && error_ == Error::kNone) co_await ReceiveBody();
    // A request that is answered needs no more of its body.
    stop_ = true;
    down_.readable().Notify();
    up_.writable().Notify();
  }

  io::Task<void> ReceiveHead() {
    io::Nanos deadline = Now() + options_.stream_idle;
    uint64_t sent = 0;
    while (!stop_) {
      switch (up_.PeekHead()) {
        case Incoming::State::kWouldBlock:
          if (down_.write_failed()) {
            Fail(Error::kDownstreamGone, "the client broke off");
            co_return;
          }
          if (co_await Wait(up_.readable(),
                            down_.broken() == nullptr ? up_.readable() : *down_.broken(),
                            deadline) == nullptr) {
            // A long upload is no silence.
            if (std::exchange(sent, outcome_->request_bytes) == outcome_->request_bytes) {
              Fail(Error::kUpstreamTimeout, "no response");
              co_return;
            }
            deadline = Now() + options_.stream_idle;
          }
          continue;
        case Incoming::State::kData:
          chooser_.OnResponse(&up_.mutable_response());
          if (up_.response().informational()) {
            if (++informational_ > kMaxInformational) {
              Fail(Error::kUpstreamMalformed, "too many informational responses");
              co_return;
            }
            down_.Respond(up_.response());
            up_.NextHead();
            continue;
          }
          RelayHead();
          co_return;
        case Incoming::State::kEnd:
        case Incoming::State::kFailed:
          Fail(UpstreamFailure(), up_.error());
          co_return;
      }
    }
  }

  void RelayHead() {
    const http::ResponseHead& response = up_.response();
    if (*load_) load_->OnHead(Now());
    outcome_->status = response.status;
    // Only a client that asked for another protocol may be moved to one.
    if (response.status == 101 && down_.request().upgrade.empty()) {
      Fail(Error::kUpstreamMalformed, "101 without an upgrade");
      return;
    }
    if (const auto grpc_status = response.headers.Get("grpc-status")) {
      outcome_->grpc_status = *grpc_status;
    }
    responded_ = true;
    down_.Respond(response);
  }

  io::Task<void> ReceiveBody() {
    if (up_.response().status == 101) {
      co_await RelayTunnel();
      co_return;
    }
    if (!up_.response().has_body) {
      down_.Flush();
      co_return;
    }
    const BodyOutcome received = co_await RelayBody(
        up_, down_, {.idle = options_.stream_idle, .stop = &stop_, .moved = &moved_},
        &outcome_->response_bytes);
    TakeBodyOutcome(received);
    if (const auto grpc_status = up_.trailers().Get("grpc-status")) {
      outcome_->grpc_status = *grpc_status;
    }
  }

  void TakeBodyOutcome(BodyOutcome received) {
    switch (received) {
      case BodyOutcome::kComplete:
      case BodyOutcome::kStopped:
        return;
      case BodyOutcome::kSinkFailed:
        Fail(Error::kDownstreamGone, "the client does not take its response");
        return;
      case BodyOutcome::kSourceFailed:
        Fail(UpstreamFailure(), up_.error());
        return;
      case BodyOutcome::kTooLarge:
      case BodyOutcome::kIdle:
        if (up_.Peek().state == Incoming::State::kData) {
          Fail(Error::kDownstreamGone, "the client does not take its response");
        } else {
          Fail(Error::kUpstreamTimeout, "the response's body did not move");
        }
        return;
    }
  }

  // After 101 both ends speak another protocol until both have ended.
  io::Task<void> RelayTunnel() {
    BodyOutcome received = BodyOutcome::kComplete;
    BodyOutcome sent = BodyOutcome::kComplete;
    down_.Flush();
    co_await io::Both(RelayOneWay(up_, down_, &outcome_->response_bytes, &received),
                      RelayOneWay(down_, up_, &outcome_->request_bytes, &sent));
    if (sent == BodyOutcome::kSourceFailed) {
      Fail(Error::kDownstreamGone, "the client broke off");
    } else if (sent == BodyOutcome::kSinkFailed && received != BodyOutcome::kComplete) {
      Fail(Error::kUpstreamReset, up_.error());
    }
    TakeBodyOutcome(received);
  }

  // One direction of a tunnel. If it breaks, the other has nobody to speak to.
  io::Task<void> RelayOneWay(Incoming& from, http::Outgoing& to, uint64_t* bytes,
                             BodyOutcome* outcome) {
    *outcome = co_await RelayBody(
        from, to, {.idle = options_.tcp_idle, .stop = &stop_, .moved = &moved_}, bytes);
    if (*outcome == BodyOutcome::kComplete) co_return;
    stop_ = true;
    up_.readable().Notify();
    up_.writable().Notify();
    down_.readable().Notify();
    down_.writable().Notify();
  }

  Error UpstreamFailure() const {
    return up_.malformed() ? Error::kUpstreamMalformed : Error::kUpstreamReset;
  }

  // Ends both directions; the first reason stays.
  void Stop(Error error, std::string_view detail) {
    Fail(error, detail);
    stop_ = true;
    up_.readable().Notify();
    down_.writable().Notify();
  }

  void Fail(Error error, std::string_view detail) {
    if (error_ != Error::kNone) return;
    error_ = error;
    detail_ = detail;
  }

  ServerExchange& down_;
  ClientExchange& up_;
  Chooser& chooser_;
  const Options& options_;
  const uint64_t max_request_bytes_;
  Outcome* const outcome_;
  upstream::Load* const load_;
  bool stop_ = false;
  bool responded_ = false;
  int answer_status_ = 0;
  int informational_ = 0;
  io::Nanos moved_ = 0;  // in either direction
  Error error_ = Error::kNone;
  std::string detail_;
};

// Nobody can blame the endpoint for what the client did.
bool IsUpstreamsFault(Error error) {
  return error == Error::kUpstreamReset || error == Error::kUpstreamTimeout ||
         error == Error::kUpstreamMalformed;
}

}  // namespace

io::Task<Outcome> Forward(ServerExchange& down, Chooser& chooser, const Options& options,
                          uint64_t max_request_bytes) {
  Outcome outcome;
  const RequestHead& request = down.request();
  const auto give_up = [&](Error error, std::string_view detail, int status = 0) {
    outcome.error = error;
    if (error == Error::kDownstreamGone) {
      down.Reset();
      return;
    }
    const ErrorAnswer answer = RespondWithError(down, error, detail, status);
    outcome.status = answer.status;
    outcome.grpc_status = answer.grpc_status;
  };
  if (max_request_bytes != 0 && request.content_length.value_or(0) > max_request_bytes) {
    give_up(Error::kBodyTooLarge, "");
    co_return outcome;
  }

  bool fresh = false;
  for (;;) {
    ++outcome.attempts;
    std::optional<Attempt> attempt;
    NoAttempt refused = co_await chooser.Choose(fresh, Now() + options.connect_timeout, &attempt);
    if (!attempt.has_value()) {
      // Nothing was sent, so any method may be sent elsewhere.
      if (refused.worth_another && outcome.attempts < options.max_attempts) continue;
      give_up(refused.error, refused.detail);
      co_return outcome;
    }

    Exchange exchange(down, *attempt->lease, chooser, options, max_request_bytes, &outcome,
                      &attempt->load);
    co_await exchange.Run();
    const Error error = exchange.error();
    if (attempt->load) {
      if (error == Error::kNone) {
        attempt->load.OnDone(Now(), true);
      } else if (IsUpstreamsFault(error)) {
        attempt->load.OnDone(Now(), false);
      } else {
        attempt->load.OnAbort(Now());
      }
    }
    if (error == Error::kNone) co_return outcome;
    if (exchange.responded()) {
      outcome.error = error;
      down.Reset();
      co_return outcome;
    }
    const ClientExchange::Failure failure = attempt->lease->failure();
    const bool safe =
        failure == ClientExchange::Failure::kNotProcessed ||
        (failure == ClientExchange::Failure::kUnknown && IsIdempotent(request.method));
    if (error == Error::kUpstreamReset && safe && exchange.body_at_hand() &&
        outcome.attempts < options.max_attempts) {
      fresh = true;
      continue;
    }
    give_up(error, exchange.detail(), exchange.answer_status());
    co_return outcome;
  }
}

}  // namespace weft::proxy
