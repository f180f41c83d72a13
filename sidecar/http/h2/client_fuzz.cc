// Bytes of a hostile server, in pieces, to a client session with a few requests of different kinds.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "sidecar/http/h2/fuzz_transport.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/io/task.h"

namespace weft::http::h2 {
namespace {

using State = Incoming::State;

int exchanges = 0;

struct Kind {
  std::string_view method;
  std::string_view upgrade;
  bool has_body;
};
constexpr std::array<Kind, 4> kKinds = {{
    {.method = "GET", .upgrade = "", .has_body = false},
    {.method = "POST", .upgrade = "", .has_body = true},
    {.method = "HEAD", .upgrade = "", .has_body = false},
    {.method = "GET", .upgrade = "websocket", .has_body = false},
}};

// Asks, and takes what comes in any order. Ends when nothing more can come.
io::Task<void> Ask(std::unique_ptr<ClientExchange> exchange, Kind kind) {
  ++exchanges;
  RequestHead head;
  head.method = kind.method;
  head.scheme = "http";
  head.authority = "tea";
  head.path = "/";
  head.upgrade = kind.upgrade;
  head.has_body = kind.has_body;
  exchange->Send(head);
  if (kind.has_body) {
    exchange->Write(io::AsBytes(std::string_view("some leaves")));
    exchange->End({});
  }
  State state = exchange->PeekHead();
  for (; state != State::kFailed; state = exchange->PeekHead()) {
    if (state == State::kWouldBlock) {
      co_await io::Wait(exchange->readable());
    } else if (exchange->response().informational()) {
      exchange->NextHead();
    } else {
      break;
    }
  }
  if (state == State::kFailed && exchange->failure() == ClientExchange::Failure::kNone)
    std::abort();
  while (state == State::kData || state == State::kWouldBlock) {
    const ResponseHead& response = exchange->response();
    if (response.status < 100 || response.status > 999) std::abort();
    if (response.status == 101 && kind.upgrade.empty()) std::abort();
    if (!response.has_body) break;
    const Incoming::Piece piece = exchange->Peek();
    state = piece.state;
    if (state == State::kData) exchange->Consume((piece.data.size() + 1) / 2);
    if (state == State::kWouldBlock) co_await io::Wait(exchange->readable());
  }
  --exchanges;
}

io::Task<void> Play(std::span<const uint8_t> bytes) {
  const uint8_t seed = bytes.empty() ? 0 : bytes.front();
  Limits limits;
  limits.max_concurrent_streams = 8;
  limits.connection_window_bytes = 65'535;
  const auto session = ClientSession::Create(
      std::make_unique<FuzzTransport>("", bytes.empty() ? bytes : bytes.subspan(1), seed,
                                      /*speaks_first=*/false),
      limits);
  for (const Kind& kind : kKinds) {
    if (std::unique_ptr<ClientExchange> exchange = session->Open(); exchange != nullptr) {
      io::Spawn(Ask(std::move(exchange), kind));
    }
  }
  if (seed % 16 == 1) session->Drain();
  co_await session->Run();
  while (exchanges > 0) co_await io::Sleep(0);
  if (session->active() != 0) std::abort();
  io::Reactor::Current()->Stop();
}

}  // namespace
}  // namespace weft::http::h2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static weft::io::Reactor* reactor = new weft::io::Reactor;
  weft::io::Spawn(weft::http::h2::Play({data, size}));
  reactor->Run();
  return 0;
}
