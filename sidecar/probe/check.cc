#include "sidecar/probe/check.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "sidecar/http/h1/client_connection.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/io/socket.h"
#include "sidecar/tls/context.h"
#include "sidecar/tls/stream.h"

namespace weft::probe {
namespace {

using http::ClientExchange;
using http::Incoming;

// What a kubelet keeps of a body to show it.
constexpr size_t kMaxBodyBytes = 10 * 1024;
constexpr int kUnavailable = 503;
constexpr int kTimeout = 504;

admin::Response Failure(int status, std::string_view why) {
  return {.status = status, .body = absl::StrCat(absl::string_view(why.data(), why.size()), "\n")};
}

admin::Response Failure(const absl::Status& status) {
  return Failure(absl::IsDeadlineExceeded(status) ? kTimeout : kUnavailable,
                 std::string_view(status.message().data(), status.message().size()));
}

// The address to dial: the pod's unless the probe names another.
io::Address Target(const std::string& host, uint32_t port, const io::Address& pod) {
  return *io::Address::FromIp(host.empty() ? pod.ip() : host, static_cast<uint16_t>(port));
}

struct Answer {
  http::ResponseHead head;
  std::string body;
  std::string grpc_status;  // from the trailers
};

// Sends a request whose body, if it has one, is `body`, and reads the response as far as it
// matters.
io::Task<absl::StatusOr<Answer>> Ask(ClientExchange& exchange, const http::RequestHead& head,
                                     std::string_view body, io::Nanos deadline) {
  const auto broken = [&exchange] {
    return absl::UnavailableError(absl::StrCat("no response: ", exchange.error()));
  };
  exchange.Send(head);
  if (head.has_body) {
    if (exchange.Write(io::AsBytes(body)) != body.size()) co_return broken();
    exchange.End({});
  }
  exchange.Flush();
  Answer answer;
  for (;;) {
    const Incoming::State state = exchange.PeekHead();
    if (state == Incoming::State::kFailed) co_return broken();
    if (state != Incoming::State::kWouldBlock) {
      if (!exchange.response().informational()) break;
      exchange.NextHead();
    } else if (co_await io::Wait(exchange.readable(), deadline) == nullptr) {
      co_return absl::DeadlineExceededError("no response in time");
    }
  }
  answer.head = exchange.response();
  while (answer.body.size() < kMaxBodyBytes) {
    const Incoming::Piece piece = exchange.Peek();
    if (piece.state == Incoming::State::kWouldBlock) {
      if (co_await io::Wait(exchange.readable(), deadline) == nullptr) {
        co_return absl::DeadlineExceededError("the response did not end in time");
      }
      continue;
    }
    // The head has decided; how an application ends its body is not what was asked.
    if (piece.state != Incoming::State::kData) break;
    const size_t n = std::min(piece.data.size(), kMaxBodyBytes - answer.body.size());
    answer.body.append(reinterpret_cast<const char*>(piece.data.data()), n);
    exchange.Consume(n);
  }
  const http::Headers& last =
      answer.head.headers.Has("grpc-status") ? answer.head.headers : exchange.trailers();
  answer.grpc_status = last.Get("grpc-status").value_or("");
  co_return answer;
}

// Encrypts the connection, as a kubelet does: the certificate is not looked at.
io::Task<absl::StatusOr<std::unique_ptr<io::Stream>>> StartTls(std::unique_ptr<io::Socket> socket,
                                                               std::string server_name,
                                                               io::Nanos deadline) {
  static const std::shared_ptr<const tls::Context> context = tls::Context::CreateUnverifying();
  absl::StatusOr<std::unique_ptr<tls::Stream>> stream =
      co_await tls::ConnectUnverified(std::move(socket), context, std::move(server_name), deadline);
  if (!stream.ok()) co_return stream.status();
  co_return *std::move(stream);
}

http::RequestHead RequestOf(const HttpGet& probe, const io::Address& to) {
  http::RequestHead head;
  head.method = "GET";
  head.scheme = probe.scheme() == "HTTPS" ? "https" : "http";
  head.authority = to.ToString();
  head.path = probe.path().starts_with("/") ? probe.path() : absl::StrCat("/", probe.path());
  bool names_agent = false;
  bool names_accept = false;
  for (const HttpGet::Header& header : probe.headers()) {
    if (http::NamesEqual(header.name(), "host")) {
      head.authority = header.value();
      continue;
    }
    names_agent |= http::NamesEqual(header.name(), "user-agent");
    names_accept |= http::NamesEqual(header.name(), "accept");
    head.headers.Add(header.name(), header.value());
  }
  if (!names_agent) {
    head.headers.Add("User-Agent", absl::StrCat("weft-probe/", std::string(kVersion)));
  }
  if (!names_accept) head.headers.Add("Accept", "*/*");
  return head;
}

io::Task<admin::Response> CheckHttp(HttpGet probe, io::Address pod, io::Nanos deadline) {
  const io::Address to = Target(probe.host(), probe.port(), pod);
  absl::StatusOr<std::unique_ptr<io::Socket>> socket = co_await io::Connect(to, deadline);
  if (!socket.ok()) co_return Failure(socket.status());
  const http::RequestHead head = RequestOf(probe, to);
  std::unique_ptr<io::Stream> stream;
  if (head.scheme == "https") {
    const std::string name = head.authority.substr(0, head.authority.rfind(':'));
    const bool is_address = head.authority == to.ToString() || io::Address::FromIp(name, 1).ok();
    absl::StatusOr<std::unique_ptr<io::Stream>> encrypted =
        co_await StartTls(*std::move(socket), is_address ? std::string() : name, deadline);
    if (!encrypted.ok()) co_return Failure(encrypted.status());
    stream = *std::move(encrypted);
  } else {
    stream = *std::move(socket);
  }
  http::h1::ClientConnection connection(std::move(stream), {});
  absl::StatusOr<Answer> answer = co_await Ask(connection, head, {}, deadline);
  if (!answer.ok()) co_return Failure(answer.status());
  admin::Response response{.status = answer->head.status, .body = std::move(answer->body)};
  // A redirection is a success. The kubelet would follow it, but not to where the application
  // means.
  if (response.status >= 300 && response.status < 400) {
    response = {.body = absl::StrCat("the application answered ", answer->head.status, "\n")};
  }
  co_return response;
}

io::Task<admin::Response> CheckTcp(TcpConnect probe, io::Address pod, io::Nanos deadline) {
  absl::StatusOr<std::unique_ptr<io::Socket>> socket =
      co_await io::Connect(Target(probe.host(), probe.port(), pod), deadline);
  if (!socket.ok()) co_return Failure(socket.status());
  co_return admin::Response{.body = "connected\n"};
}

// A gRPC message of one protobuf field: 5 bytes of prefix, then `service` as field 1.
std::string HealthCheckRequest(const std::string& service) {
  std::string message;
  if (!service.empty()) {
    message = "\x0a";
    for (size_t left = service.size();; left >>= 7) {
      message += static_cast<char>(left > 0x7f ? (left & 0x7f) | 0x80 : left);
      if (left <= 0x7f) break;
    }
    message += service;
  }
  std::string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    framed += static_cast<char>(message.size() >> shift & 0xff);
  }
  return framed + message;
}

// What HealthCheckResponse.status says.
admin::Response HealthOf(const Answer& answer) {
  if (answer.head.status != 200 || answer.grpc_status != "0") {
    return Failure(kUnavailable, absl::StrCat("health check failed: HTTP ", answer.head.status,
                                              ", grpc-status ", answer.grpc_status));
  }
  // Prefix, then field 1 as a varint; an absent field is UNKNOWN. SERVING is 1.
  if (answer.body.substr(0, 7) == std::string_view("\0\0\0\0\x02\x08\x01", 7)) {
    return {.body = "SERVING\n"};
  }
  return Failure(kUnavailable, "the service is not SERVING");
}

io::Task<admin::Response> CheckGrpc(GrpcCheck probe, io::Address pod, io::Nanos deadline) {
  const io::Address to = Target("", probe.port(), pod);
  absl::StatusOr<std::unique_ptr<io::Socket>> socket = co_await io::Connect(to, deadline);
  if (!socket.ok()) co_return Failure(socket.status());
  http::RequestHead head;
  head.method = "POST";
  head.scheme = "http";
  head.authority = to.ToString();
  head.path = "/grpc.health.v1.Health/Check";
  head.version = http::Version::kHttp2;
  head.has_body = true;
  head.headers.Add("content-type", "application/grpc");
  head.headers.Add("te", "trailers");
  head.headers.Add("user-agent", absl::StrCat("weft-probe/", std::string(kVersion)));

  const std::shared_ptr<http::h2::ClientSession> session =
      http::h2::ClientSession::Create(*std::move(socket));
  io::Spawn([](std::shared_ptr<http::h2::ClientSession> running) -> io::Task<void> {
    co_await running->Run();
  }(session));
  std::unique_ptr<ClientExchange> exchange = session->Open();
  if (exchange == nullptr) co_return Failure(kUnavailable, session->error());
  const std::string body = HealthCheckRequest(probe.service());
  const absl::StatusOr<Answer> answer = co_await Ask(*exchange, head, body, deadline);
  exchange.reset();
  session->Close("the probe is over");
  co_return answer.ok() ? HealthOf(*answer) : Failure(answer.status());
}

}  // namespace

io::Task<admin::Response> Check(AppProbe probe, io::Address pod) {
  const io::Nanos deadline =
      io::MonotonicNow() + std::max<io::Nanos>(probe.timeout_seconds(), 1) * io::kSecond;
  switch (probe.action_case()) {
    case AppProbe::kHttp:
      co_return co_await CheckHttp(probe.http(), pod, deadline);
    case AppProbe::kTcp:
      co_return co_await CheckTcp(probe.tcp(), pod, deadline);
    case AppProbe::kGrpc:
      co_return co_await CheckGrpc(probe.grpc(), pod, deadline);
    case AppProbe::ACTION_NOT_SET:
      break;
  }
  co_return Failure(kUnavailable, "the probe asks for nothing");
}

}  // namespace weft::probe
