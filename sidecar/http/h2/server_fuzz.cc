// Bytes of a hostile client, in pieces, to a server session whose handler does a bit of everything.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "sidecar/http/h2/fuzz_transport.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/io/task.h"

namespace weft::http::h2 {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

int exchanges = 0;

io::Task<void> Serve(std::unique_ptr<ServerExchange> exchange) {
  ++exchanges;
  const RequestHead& request = exchange->request();
  if (request.method.empty()) std::abort();
  if (request.path == "/drop") {
    --exchanges;
    co_return;
  }
  ResponseHead head;
  head.status = request.upgrade.empty() ? 200 : 101;
  head.has_body = request.method != "HEAD";
  if (request.expect_continue) {
    ResponseHead informational;
    informational.status = 100;
    exchange->Respond(informational);
  }
  exchange->Respond(head);
  for (;;) {
    const Incoming::Piece piece = exchange->Peek();
    if (piece.state == Incoming::State::kWouldBlock) {
      co_await io::Wait(exchange->readable(), exchange->writable());
    } else if (piece.state == Incoming::State::kData) {
      if (head.has_body && exchange->Write(piece.data) == 0 && !exchange->write_failed()) {
        co_await io::Wait(exchange->writable(), exchange->readable());
      } else {
        exchange->Consume((piece.data.size() + 1) / 2);
      }
    } else {
      break;
    }
    if (exchange->write_failed()) break;
  }
  if (head.has_body) exchange->End(exchange->trailers());
  --exchanges;
}

io::Task<void> Play(std::span<const uint8_t> bytes) {
  const uint8_t seed = bytes.empty() ? 0 : bytes.front();
  Limits limits;
  limits.max_concurrent_streams = 8;
  limits.first_window_bytes = 65'535;
  limits.connection_window_bytes = 65'535;
  const auto session = ServerSession::Create(
      std::make_unique<FuzzTransport>(kPreface, bytes.empty() ? bytes : bytes.subspan(1), seed,
                                      /*speaks_first=*/true),
      limits,
      [](std::unique_ptr<ServerExchange> exchange) { io::Spawn(Serve(std::move(exchange))); });
  if (seed % 16 == 1) session->Drain();
  co_await session->Run();
  if (session->active() != 0) std::abort();
  while (exchanges > 0) co_await io::Sleep(0);
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
