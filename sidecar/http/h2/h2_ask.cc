// Asks an HTTP/2 server in plaintext (prior knowledge) many times over one connection; prints what
// came of it and its own CPU time per request.
//   h2_ask port path [requests] [at once] [bytes of body]
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "sidecar/http/h2/session.h"
#include "sidecar/io/socket.h"
#include "sidecar/io/task.h"

namespace weft::http::h2 {
namespace {

struct Outcome {
  std::map<int, int> statuses;
  std::map<std::string, int> errors;
  uint64_t bytes = 0;
  int left = 0;
  int running = 0;
};

io::Task<void> Upload(ClientExchange* exchange, size_t bytes, bool* done) {
  static const std::string chunk(16'384, 'u');
  while (bytes > 0) {
    const size_t n = exchange->Write(
        io::AsBytes(std::string_view(chunk).substr(0, std::min(bytes, chunk.size()))));
    bytes -= n;
    if (n > 0) continue;
    if (exchange->write_failed()) break;
    co_await io::Wait(exchange->writable());
  }
  if (bytes == 0) exchange->End({});
  *done = true;
}

io::Task<void> Ask(ClientSession* session, const RequestHead* head, size_t body, Outcome* outcome) {
  ++outcome->running;
  while (outcome->left > 0) {
    --outcome->left;
    std::unique_ptr<ClientExchange> exchange = session->Open();
    if (exchange == nullptr) {
      ++outcome->errors["no room: " + session->error()];
      continue;
    }
    exchange->Send(*head);
    bool uploaded = !head->has_body;
    if (head->has_body) io::Spawn(Upload(exchange.get(), body, &uploaded));
    Incoming::State state;
    while ((state = exchange->PeekHead()) == Incoming::State::kWouldBlock) {
      co_await io::Wait(exchange->readable());
    }
    while (state == Incoming::State::kData || state == Incoming::State::kWouldBlock) {
      const Incoming::Piece piece = exchange->Peek();
      state = piece.state;
      if (state == Incoming::State::kData) {
        outcome->bytes += piece.data.size();
        exchange->Consume(piece.data.size());
      } else if (state == Incoming::State::kWouldBlock) {
        co_await io::Wait(exchange->readable());
      }
    }
    if (state == Incoming::State::kEnd) {
      ++outcome->statuses[exchange->response().status];
    } else {
      ++outcome->errors[exchange->error()];
    }
    while (!uploaded) co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
  }
  if (--outcome->running == 0) session->Drain();
}

io::Task<void> Run(int argc, char** argv, Outcome* outcome) {
  const auto port = static_cast<uint16_t>(std::atoi(argv[1]));
  RequestHead head;
  head.method = "GET";
  head.scheme = "http";
  head.authority = "127.0.0.1:" + std::to_string(port);
  head.path = argv[2];
  outcome->left = argc > 3 ? std::atoi(argv[3]) : 1;
  const int at_once = argc > 4 ? std::atoi(argv[4]) : 1;
  const size_t body = argc > 5 ? static_cast<size_t>(std::atol(argv[5])) : 0;
  if (body > 0) {
    head.method = "POST";
    head.has_body = true;
    head.content_length = body;
  }
  auto socket = co_await io::Connect(*io::Address::FromIp("127.0.0.1", port), io::kNever);
  if (!socket.ok()) {
    std::fprintf(stderr, "%s\n", socket.status().ToString().c_str());
    std::exit(1);
  }
  const auto session = ClientSession::Create(*std::move(socket));
  for (int i = 0; i < at_once; ++i) io::Spawn(Ask(session.get(), &head, body, outcome));
  co_await session->Run();
  while (outcome->running > 0) co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
  if (!session->error().empty()) std::printf("connection: %s\n", session->error().c_str());
  io::Reactor::Current()->Stop();
}

}  // namespace
}  // namespace weft::http::h2

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: h2_ask port path [requests] [at once] [bytes of body]\n");
    return 2;
  }
  weft::io::Reactor reactor;
  weft::http::h2::Outcome outcome;
  weft::io::Spawn(weft::http::h2::Run(argc, argv, &outcome));
  reactor.Run();
  int total = 0;
  for (const auto& [status, count] : outcome.statuses) {
    std::printf("%d: %d\n", status, count);
    total += count;
  }
  for (const auto& [error, count] : outcome.errors) std::printf("%s: %d\n", error.c_str(), count);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double microseconds =
      static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
      static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  std::printf("%lu bytes, %.2f us of CPU per request, %ld MB at most\n", outcome.bytes,
              total == 0 ? 0 : microseconds / total, usage.ru_maxrss / 1024);
  return outcome.errors.empty() ? 0 : 1;
}
