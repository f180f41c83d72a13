#include "sidecar/http/h2/test_peers.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

#include "sidecar/io/event.h"
#include "sidecar/io/stream.h"

namespace weft::http::h2 {
namespace {

class Deadline final : public io::Timer {
 private:
  void OnExpired() override {
    std::fprintf(stderr, "the story does not end\n");
    std::abort();
  }
};

io::Task<void> RunAndStop(io::Task<void> story) {
  co_await std::move(story);
  io::Reactor::Current()->Stop();
}

template <typename SessionType>
io::Task<void> RunSession(SessionType* session, std::shared_ptr<bool> ended) {
  co_await session->Run();
  *ended = true;
}

uint32_t ReadNumber(std::string_view bytes, int count) {
  uint32_t number = 0;
  for (int i = 0; i < count; ++i) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  return number;
}

}  // namespace

std::pair<std::unique_ptr<io::Socket>, std::unique_ptr<io::Socket>> SocketPair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  return {io::Socket::Adopt(fds[0]), io::Socket::Adopt(fds[1])};
}

void RunStory(io::Task<void> story) {
  io::Reactor* reactor = io::Reactor::Current();
  Deadline deadline;
  reactor->timers().Arm(&deadline, io::MonotonicNow() + 30 * io::kSecond);
  io::Spawn(RunAndStop(std::move(story)));
  reactor->Run();
}

io::Task<void> Until(std::function<bool()> holds) {
  while (!holds()) co_await io::Sleep(io::MonotonicNow() + io::kMillisecond);
}

RequestHead Get(std::string_view path) {
  RequestHead head;
  head.method = "GET";
  head.scheme = "http";
  head.authority = "tea";
  head.path = path;
  return head;
}

RequestHead Post(std::string_view path) {
  RequestHead head = Get(path);
  head.method = "POST";
  head.has_body = true;
  return head;
}

ResponseHead Answer(int status, bool has_body) {
  ResponseHead head;
  head.status = status;
  head.has_body = has_body;
  return head;
}

io::Task<Body> ReadBody(Incoming& from) {
  Body body;
  for (;;) {
    const Incoming::Piece piece = from.Peek();
    switch (piece.state) {
      case Incoming::State::kData:
        body.bytes.append(io::AsText(piece.data));
        from.Consume(piece.data.size());
        break;
      case Incoming::State::kWouldBlock:
        co_await io::Wait(from.readable());
        break;
      default:
        body.end = piece.state;
        co_return body;
    }
  }
}

io::Task<bool> WriteBody(Outgoing& to, std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t n = to.Write(io::AsBytes(bytes));
    bytes.remove_prefix(n);
    if (n == 0) {
      if (to.write_failed()) co_return false;
      co_await io::Wait(to.writable());
    }
  }
  co_return true;
}

io::Task<Incoming::State> AwaitHead(ClientExchange& exchange) {
  for (;;) {
    const Incoming::State state = exchange.PeekHead();
    if (state != Incoming::State::kWouldBlock) co_return state;
    co_await io::Wait(exchange.readable());
  }
}

io::Task<void> Echo(std::unique_ptr<ServerExchange> exchange) {
  const Body body = co_await ReadBody(*exchange);
  ResponseHead head = Answer(200, /*has_body=*/true);
  head.headers.Add("x-path", exchange->request().path);
  exchange->Respond(head);
  if (co_await WriteBody(*exchange, body.bytes)) exchange->End(exchange->trailers());
}

Pair::Pair(Handler handler, const Limits& server_limits, const Limits& client_limits)
    : Pair(std::move(handler), nullptr, nullptr, server_limits, client_limits) {}

Pair::Pair(Handler handler, std::unique_ptr<io::Stream> client_end,
           std::unique_ptr<io::Stream> server_end, const Limits& server_limits,
           const Limits& client_limits) {
  if (client_end == nullptr) std::tie(client_end, server_end) = SocketPair();
  client_ = ClientSession::Create(std::move(client_end), client_limits);
  server_ = ServerSession::Create(std::move(server_end), server_limits,
                                  [handler](std::unique_ptr<ServerExchange> exchange) {
                                    io::Spawn(handler(std::move(exchange)));
                                  });
  io::Spawn(RunSession(client_.get(), client_ended_));
  io::Spawn(RunSession(server_.get(), server_ended_));
}

io::Task<void> Pair::End() {
  client_->Drain();
  co_await Until([this] { return client_ended() && server_ended(); });
}

std::string Number32(uint32_t number) {
  std::string bytes(4, '\0');
  for (int i = 3; i >= 0; --i, number >>= 8) bytes[i] = static_cast<char>(number);
  return bytes;
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string frame = Number32(static_cast<uint32_t>(payload.size())).substr(1);
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  frame.append(Number32(stream));
  frame.append(payload);
  return frame;
}

std::string Literal(std::string_view name, std::string_view value) {
  std::string field(1, '\0');
  field.push_back(static_cast<char>(name.size()));
  field.append(name);
  field.push_back(static_cast<char>(value.size()));
  field.append(value);
  return field;
}

std::string GetFields() {
  return Literal(":method", "GET") + Literal(":scheme", "http") + Literal(":path", "/") +
         Literal(":authority", "tea");
}

RawClient::RawClient(Handler handler, const Limits& limits) {
  std::unique_ptr<io::Socket> server_end;
  std::tie(socket_, server_end) = SocketPair();
  server_ = ServerSession::Create(std::move(server_end), limits,
                                  [handler](std::unique_ptr<ServerExchange> exchange) {
                                    io::Spawn(handler(std::move(exchange)));
                                  });
  io::Spawn(RunSession(server_.get(), ended_));
}

io::Task<void> RawClient::Send(std::string bytes) {
  co_await io::WriteAll(*socket_, io::AsBytes(bytes));
}

io::Task<RawClient::Received> RawClient::Await(uint8_t type) {
  constexpr size_t kHeader = 9;
  for (;;) {
    if (unread_.size() >= kHeader) {
      const size_t size = ReadNumber(unread_, 3);
      if (unread_.size() >= kHeader + size) {
        Received frame{.type = static_cast<uint8_t>(unread_[3]),
                       .flags = static_cast<uint8_t>(unread_[4]),
                       .stream = ReadNumber(std::string_view(unread_).substr(5), 4),
                       .payload = unread_.substr(kHeader, size)};
        unread_.erase(0, kHeader + size);
        if (frame.type == type) co_return frame;
        continue;
      }
    }
    uint8_t buffer[4096];
    const io::IoResult result = socket_->Read(buffer);
    if (result.ok()) {
      unread_.append(io::AsText({buffer, result.bytes}));
    } else if (result.would_block()) {
      co_await io::Wait(socket_->readable());
    } else {
      co_return Received{.type = 255, .flags = 0, .stream = 0, .payload = ""};
    }
  }
}

uint32_t GoawayCode(const RawClient::Received& frame) {
  return frame.payload.size() < 8 ? UINT32_MAX
                                  : ReadNumber(std::string_view(frame.payload).substr(4), 4);
}

}  // namespace weft::http::h2
