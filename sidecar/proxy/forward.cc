#include "sidecar/proxy/forward.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "sidecar/http/h2/held_bytes.h"
#include "sidecar/io/join.h"
#include "sidecar/io/reactor.h"
#include "sidecar/proxy/introduction.h"
#include "sidecar/proxy/relay.h"
#include "sidecar/proxy/replay.h"

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
  // `may_repeat`: the request can be sent elsewhere if the peer says that it was not processed.
  Exchange(ServerExchange& down, Replay& request_body, Attempt& attempt, Chooser& chooser,
           const ForwardSettings& settings, bool may_repeat, Outcome* outcome)
      : down_(down),
        request_body_(request_body),
        up_(*attempt.lease),
        chooser_(chooser),
        options_(settings.options),
        max_request_bytes_(settings.max_request_bytes == 0 ? UINT64_MAX
                                                           : settings.max_request_bytes),
        may_repeat_(may_repeat),
        outcome_(outcome),
        attempt_(attempt) {}

  io::Task<void> Run() {
    const RequestHead& request = down_.request();
    up_.Send(request);
    if (request.has_body) {
      outcome_->request_bytes = 0;
      co_await io::Both(ReceiveResponse(), SendRequestBody());
    } else {
      request_read_ = true;
      co_await ReceiveResponse();
    }
  }

  bool responded() const { return responded_; }
  Error error() const { return error_; }
  const std::string& detail() const { return detail_; }
  // Instead of the error's usual one; 0: that.
  int answer_status() const { return answer_status_; }
  // The peer has said that the application did not get the request.
  bool unprocessed() const { return unprocessed_; }

 private:
  io::Task<void> SendRequestBody() {
    const BodyOutcome sent = co_await RelayBody(request_body_, up_,
                                                {.max_bytes = max_request_bytes_,
                                                 .idle = options_.stream_idle,
                                                 .stop = &stop_,
                                                 .moved = &moved_},
                                                &outcome_->request_bytes);
    switch (sent) {
      case BodyOutcome::kComplete:
        request_read_ = true;
        up_.readable().Notify();
        co_return;
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
          if (ClientGone()) {
            Fail(Error::kDownstreamGone, "the client went away");
            co_return;
          }
          co_await Wait(up_.readable(), ClientEvent(), std::min(deadline, gone_at_));
          if (Now() >= deadline) {
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

  // What tells that the client may have gone. Whoever waits for the rest of the request's body
  // hears of it there; after that it is for the one who waits for the response.
  io::Event& ClientEvent() {
    if (request_read_) return down_.readable();
    return down_.broken() == nullptr ? up_.readable() : *down_.broken();
  }

  bool ClientGone() {
    if (down_.write_failed()) return true;
    if (!down_.half_closed()) return false;
    if (gone_at_ == io::kNever) gone_at_ = Now() + options_.half_closed;
    return Now() >= gone_at_;
  }

  void RelayHead() {
    const http::ResponseHead& response = up_.response();
    // The mark is on a 503, or on a gRPC error, which has no body; nobody but a sidecar may set it.
    unprocessed_ =
        (response.status == StatusOf(Error::kUpstreamConnectFailure) || !response.has_body) &&
        up_.mutable_response().headers.Remove(kUnprocessedHeader) > 0 && attempt_.sidecar;
    if (unprocessed_ && may_repeat_) {
      Fail(Error::kUpstreamConnectFailure, "the endpoint's sidecar cannot reach its application");
      return;
    }
    request_body_.Forget();
    if (attempt_.load && !unprocessed_) attempt_.load.OnHead(Now());
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
  Replay& request_body_;
  ClientExchange& up_;
  Chooser& chooser_;
  const Options& options_;
  const uint64_t max_request_bytes_;
  const bool may_repeat_;
  Outcome* const outcome_;
  Attempt& attempt_;
  io::Nanos gone_at_ = io::kNever;  // when a client that has ended its side is taken for gone
  bool stop_ = false;
  bool request_read_ = false;  // to its end
  bool responded_ = false;
  bool unprocessed_ = false;
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

// What the balancing learns from an exchange that has ended.
void SettleLoad(const Exchange& exchange, upstream::Load& load) {
  if (!load) return;
  if (exchange.unprocessed() || IsUpstreamsFault(exchange.error())) {
    load.OnDone(Now(), false);
  } else if (exchange.error() == Error::kNone) {
    load.OnDone(Now(), true);
  } else {
    load.OnAbort(Now());
  }
}

}  // namespace

io::Task<Outcome> Forward(ServerExchange& down, Chooser& chooser, const ForwardSettings& settings) {
  Outcome outcome;
  const Options& options = settings.options;
  const RequestHead& request = down.request();
  // `processed`: for all that is known here the application may have seen the request.
  const auto give_up = [&](Error error, std::string_view detail, bool processed, int status = 0) {
    outcome.error = error;
    if (error == Error::kDownstreamGone) {
      down.Reset();
      return;
    }
    const ErrorAnswer answer =
        RespondWithError(down, error, detail, status,
                         settings.caller_is_sidecar && !processed ? kUnprocessedHeader : "");
    outcome.status = answer.status;
    outcome.grpc_status = answer.grpc_status;
  };
  if (settings.max_request_bytes != 0 &&
      request.content_length.value_or(0) > settings.max_request_bytes) {
    give_up(Error::kBodyTooLarge, "", /*processed=*/true);
    co_return outcome;
  }

  if (http::h2::HoldsTooMuch()) {
    give_up(Error::kOverloaded, "too much waits for slow readers", /*processed=*/false);
    co_return outcome;
  }

  settings.budget.OnRequest();
  Replay body(down);
  const auto may_repeat = [&] {
    if (outcome.attempts >= options.max_attempts || !body.at_hand()) return false;
    if (settings.budget.Take(Now())) return true;
    outcome.over_budget = true;
    return false;
  };
  upstream::Reuse reuse =
      IsIdempotent(request.method) ? upstream::Reuse::kAny : upstream::Reuse::kCareful;
  for (;;) {
    ++outcome.attempts;
    std::optional<Attempt> attempt;
    NoAttempt refused = co_await chooser.Choose(reuse, Now() + options.connect_timeout, &attempt);
    if (!attempt.has_value()) {
      // Nothing was sent, so any method may be sent elsewhere.
      if (refused.worth_another && may_repeat()) continue;
      give_up(refused.error, refused.detail, /*processed=*/false);
      co_return outcome;
    }

    const bool elsewhere = outcome.attempts < options.max_attempts && chooser.HasOther(*attempt);
    Exchange exchange(down, body, *attempt, chooser, settings, elsewhere, &outcome);
    co_await exchange.Run();
    const Error error = exchange.error();
    SettleLoad(exchange, attempt->load);
    if (error == Error::kNone) co_return outcome;
    if (exchange.responded()) {
      outcome.error = error;
      down.Reset();
      co_return outcome;
    }
    const ClientExchange::Failure failure = attempt->lease->failure();
    const bool unprocessed =
        exchange.unprocessed() ||
        (error == Error::kUpstreamReset && failure == ClientExchange::Failure::kNotProcessed);
    const bool repeatable = unprocessed || (error == Error::kUpstreamReset &&
                                            failure == ClientExchange::Failure::kUnknown &&
                                            IsIdempotent(request.method));
    if (repeatable && may_repeat()) {
      chooser.Avoid(*attempt, /*never=*/exchange.unprocessed());
      body.Rewind();
      reuse = upstream::Reuse::kNever;
      continue;
    }
    give_up(error, exchange.detail(), !unprocessed, exchange.answer_status());
    co_return outcome;
  }
}

void CountRetries(telemetry::Shard& metrics, const Outcome& outcome) {
  if (outcome.attempts > 1) {
    metrics.Counter("weft_retries_total", "Attempts of requests beyond the first.")
        ->Add(outcome.attempts - 1);
  }
  if (outcome.over_budget) {
    metrics
        .Counter("weft_retries_over_budget_total",
                 "Requests that were not tried again because the retry budget was spent.")
        ->Add();
  }
}

}  // namespace weft::proxy
