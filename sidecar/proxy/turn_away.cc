#include "sidecar/proxy/turn_away.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "sidecar/io/buffer.h"
#include "sidecar/proxy/errors.h"
#include "sidecar/proxy/serve.h"
#include "sidecar/proxy/worker.h"

namespace weft::proxy {
namespace {

constexpr size_t kAtOnce = 64;
constexpr io::Nanos kPatience = io::kSecond;
constexpr size_t kMaxReadBytes = 64 * 1024;

std::string Answer() {
  const std::string_view reason = ReasonOf(Error::kOverloaded);
  const std::string body = absl::StrCat("weft: ", ToAbsl(reason), ": too many connections\n");
  return absl::StrCat("HTTP/1.1 503 Service Unavailable\r\nweft-error: ", ToAbsl(reason),
                      "\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ",
                      body.size(), "\r\nconnection: close\r\n\r\n", body);
}

// Unread bytes would turn the end into a reset, which can overtake the answer.
io::Task<void> ReadOut(io::Socket& socket, io::Nanos deadline) {
  io::Buffer buffer;
  for (size_t total = 0; total < kMaxReadBytes;) {
    const io::IoResult read = socket.Read(buffer.Room(io::Buffer::kBlockBytes));
    if (read.ok()) {
      total += read.bytes;
    } else if (!read.would_block() || co_await Wait(socket.readable(), deadline) == nullptr) {
      co_return;
    }
  }
}

}  // namespace

io::Task<void> TurnAway(Worker& worker, std::unique_ptr<io::Socket> socket) {
  worker.metrics->CountError(ReasonOf(Error::kOverloaded));
  worker.metrics
      ->Counter("weft_connections_refused_total",
                "Connections of clients that were refused because there were too many.")
      ->Add();
  if (worker.turning_away >= kAtOnce) {
    socket->ResetOnClose();
    co_return;
  }
  ++worker.turning_away;
  const io::Nanos deadline = worker.reactor.now() + kPatience;
  if (co_await AwaitOpening(*socket, deadline, kPatience) == Opening::kHttp1) {
    const std::string answer = Answer();
    co_await io::WriteAll(*socket, io::AsBytes(answer), deadline);
    socket->ShutdownWrite();
    co_await ReadOut(*socket, deadline);
  } else {
    socket->ResetOnClose();
  }
  --worker.turning_away;
}

}  // namespace weft::proxy
