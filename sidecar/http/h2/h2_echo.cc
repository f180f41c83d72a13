// A server of HTTP/2 in plaintext (prior knowledge) for load generators: answers GET with a few
// bytes and anything else with the request's body. Prints its CPU time per request when it is
// interrupted.
//   h2_echo [port] [bytes]
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "sidecar/http/h2/session.h"
#include "sidecar/io/socket.h"
#include "sidecar/io/task.h"

namespace weft::http::h2 {
namespace {

uint64_t requests = 0;
std::string answer_body;
ResponseHead answer;

io::Task<void> Serve(std::unique_ptr<ServerExchange> exchange) {
  ++requests;
  if (!exchange->request().has_body) {
    exchange->Respond(answer);
    std::string_view rest = answer_body;
    for (;;) {
      rest.remove_prefix(exchange->Write(io::AsBytes(rest)));
      if (rest.empty() || exchange->write_failed()) break;
      co_await io::Wait(exchange->writable());
    }
    exchange->End({});
    co_return;
  }
  ResponseHead head;
  head.status = 200;
  head.has_body = true;
  head.content_length = exchange->request().content_length;
  exchange->Respond(head);
  for (;;) {
    const Incoming::Piece piece = exchange->Peek();
    if (piece.state == Incoming::State::kWouldBlock) {
      co_await io::Wait(exchange->readable(), exchange->writable());
    } else if (piece.state == Incoming::State::kData) {
      const size_t n = exchange->Write(piece.data);
      if (n > 0) {
        exchange->Consume(n);
      } else if (exchange->write_failed()) {
        co_return;
      } else {
        co_await io::Wait(exchange->writable());
      }
    } else {
      if (piece.state == Incoming::State::kEnd) exchange->End(exchange->trailers());
      co_return;
    }
  }
}

io::Task<void> Connection(std::unique_ptr<io::Socket> socket) {
  const auto session = ServerSession::Create(
      std::move(socket), {},
      [](std::unique_ptr<ServerExchange> exchange) { io::Spawn(Serve(std::move(exchange))); });
  co_await session->Run();
  if (!session->error().empty()) std::fprintf(stderr, "%s\n", session->error().c_str());
}

io::Task<void> AcceptAll(io::Listener* listener) {
  for (;;) {
    std::unique_ptr<io::Socket> socket = co_await listener->Accept();
    if (socket == nullptr) co_return;
    io::Spawn(Connection(std::move(socket)));
  }
}

class Interrupt final : public io::Pollable {
 public:
  void OnReady(uint32_t) override { io::Reactor::Current()->Stop(); }
};

int Main(int argc, char** argv) {
  const auto port = static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
  answer_body.assign(argc > 2 ? static_cast<size_t>(std::atol(argv[2])) : 12, 'x');
  answer.status = 200;
  answer.has_body = true;
  answer.content_length = answer_body.size();
  answer.headers.Add("content-type", "text/plain");
  io::Reactor reactor;
  auto listener = io::Listener::Open(*io::Address::FromIp("127.0.0.1", port), false);
  if (!listener.ok()) {
    std::fprintf(stderr, "%s\n", listener.status().ToString().c_str());
    return 1;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  Interrupt interrupt;
  reactor.Add(signalfd(-1, &signals, SFD_NONBLOCK), &interrupt);
  io::Spawn(AcceptAll(listener->get()));
  reactor.Run();
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double microseconds =
      static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
      static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  std::printf("%lu requests, %.2f us of CPU each, %ld MB at most\n", requests,
              requests == 0 ? 0 : microseconds / static_cast<double>(requests),
              usage.ru_maxrss / 1024);
  std::fflush(stdout);
  _exit(0);
}

}  // namespace
}  // namespace weft::http::h2

int main(int argc, char** argv) { return weft::http::h2::Main(argc, argv); }
