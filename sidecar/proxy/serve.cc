#include "sidecar/proxy/serve.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "sidecar/http/h1/server_connection.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/io/buffer.h"
#include "sidecar/io/reactor.h"
#include "sidecar/proxy/errors.h"

namespace weft::proxy {
namespace {

using http::h1::ServerConnection;

class Http1Connection final : public ServedConnection {
 public:
  Http1Connection(Connections* connections, ServerConnection* connection)
      : ServedConnection(connections), connection_(connection) {
    // It has come while others end: its client is about to ask, and is answered.
    if (connections->draining()) connection_->CloseAfterResponse();
    if (connections->moving()) connection_->LeaveWhenIdle();
  }
  void Drain() override { connection_->Drain(); }
  void Move() override { connection_->LeaveWhenIdle(); }

 private:
  ServerConnection* const connection_;
};

class Http2Connection final : public ServedConnection {
 public:
  Http2Connection(Connections* connections, http::h2::Session* session)
      : ServedConnection(connections), session_(session) {
    if (connections->draining() || connections->moving()) session_->Drain();
  }
  void Drain() override { session_->Drain(); }

 private:
  http::h2::Session* const session_;
};

io::Task<void> HandleOne(std::shared_ptr<RequestHandler> handler,
                         std::unique_ptr<http::ServerExchange> exchange) {
  co_await handler->Handle(*exchange);
}

// A request that is to be answered over HTTP/2 (RFC 7540 section 3.2).
struct Upgrade {
  http::RequestHead request;
  std::string settings;         // payload of a SETTINGS frame
  std::vector<uint8_t> unread;  // what has come behind the request
};

// Null if the client does not offer it, or not as it should: then the request is answered as it
// came.
std::unique_ptr<Upgrade> OfferedUpgrade(ServerConnection& connection) {
  constexpr size_t kSettingBytes = 6;
  if (connection.h2c_settings().empty()) return nullptr;
  auto upgrade = std::make_unique<Upgrade>();
  if (!absl::WebSafeBase64Unescape(ToAbsl(connection.h2c_settings()), &upgrade->settings) ||
      upgrade->settings.size() % kSettingBytes != 0) {
    return nullptr;
  }
  upgrade->request = connection.request();
  upgrade->unread.assign(connection.unread().begin(), connection.unread().end());
  return upgrade;
}

// One request after another, until the connection ends or goes on in HTTP/2.
io::Task<std::unique_ptr<Upgrade>> ServeRequests(io::Stream& stream, Connections& connections,
                                                 const Options& options,
                                                 std::shared_ptr<RequestHandler> handler) {
  ServerConnection connection(&stream, options.h1);
  const Http1Connection served(&connections, &connection);
  for (;;) {
    switch (co_await connection.NextRequest(options.client_idle, options.client_head)) {
      case ServerConnection::Next::kRequest:
        break;
      case ServerConnection::Next::kClosed:
        if (connections.moving() && connection.at_rest()) connections.GiveAway(stream);
        co_return nullptr;
      case ServerConnection::Next::kRefused: {
        handler->OnRefused();
        const http::h1::ParseError& refusal = connection.refusal();
        RespondWithError(connection, Error::kBadRequest, refusal.field, refusal.status);
        co_await connection.Finish(io::Reactor::Current()->now() + options.finish);
        co_return nullptr;
      }
    }
    const bool ending = connections.draining() || connections.moving();
    if (std::unique_ptr<Upgrade> upgrade = ending ? nullptr : OfferedUpgrade(connection)) {
      http::ResponseHead switching;
      switching.status = 101;
      switching.upgrade = "h2c";
      connection.Respond(switching);
      co_await connection.Finish(io::Reactor::Current()->now() + options.finish);
      co_return upgrade;
    }
    co_await handler->Handle(connection);
    if (!co_await connection.Finish(io::Reactor::Current()->now() + options.finish))
      co_return nullptr;
  }
}

// The application need not know HTTP/2 because its client prefers it: it hears HTTP/1.1, which the
// client speaks as well.
io::Task<void> HandleUpgraded(std::shared_ptr<RequestHandler> handler,
                              std::unique_ptr<http::ServerExchange> exchange) {
  exchange->mutable_request().version = http::Version::kHttp11;
  co_await handler->Handle(*exchange);
}

io::Task<void> ServeUpgraded(std::unique_ptr<io::Stream> stream, Connections& connections,
                             const Options& options, std::shared_ptr<RequestHandler> handler,
                             std::unique_ptr<Upgrade> upgrade) {
  const std::unique_ptr<http::h2::ServerSession> session = http::h2::ServerSession::Create(
      std::move(stream), options.h2, [&handler](std::unique_ptr<http::ServerExchange> exchange) {
        io::Spawn(HandleUpgraded(handler, std::move(exchange)));
      });
  session->set_on_refused([&handler] { handler->OnRefused(); });
  const Http2Connection served(&connections, session.get());
  if (session->TakeUpgrade(upgrade->request, io::AsBytes(upgrade->settings), upgrade->unread)) {
    upgrade.reset();
    co_await session->Run();
  }
  if (!session->violation().empty()) handler->OnViolation(session->violation(), session->error());
}

}  // namespace

io::Task<void> ServeHttp1(std::unique_ptr<io::Stream> stream, Connections& connections,
                          const Options& options, std::shared_ptr<RequestHandler> handler) {
  std::unique_ptr<Upgrade> upgrade = co_await ServeRequests(*stream, connections, options, handler);
  if (upgrade != nullptr) {
    co_await ServeUpgraded(std::move(stream), connections, options, std::move(handler),
                           std::move(upgrade));
  }
}

io::Task<void> ServeHttp2(std::unique_ptr<io::Stream> stream, Connections& connections,
                          const Options& options, std::shared_ptr<RequestHandler> handler) {
  const std::unique_ptr<http::h2::ServerSession> session = http::h2::ServerSession::Create(
      std::move(stream), options.h2, [&handler](std::unique_ptr<http::ServerExchange> exchange) {
        io::Spawn(HandleOne(handler, std::move(exchange)));
      });
  session->set_on_refused([&handler] { handler->OnRefused(); });
  const Http2Connection served(&connections, session.get());
  co_await session->Run();
  if (!session->violation().empty()) handler->OnViolation(session->violation(), session->error());
}

io::Task<Opening> AwaitOpening(io::Socket& socket, io::Nanos deadline, io::Nanos once_begun,
                               const UndecidedConnection* undecided) {
  io::Buffer buffer;
  bool begun = false;
  const std::span<uint8_t> room = buffer.Room(kMaxOpeningBytes).first(kMaxOpeningBytes);
  for (;;) {
    const io::IoResult peeked = socket.Peek(room);
    if (peeked.ok()) {
      const Opening opening = Classify(room.first(peeked.bytes));
      if (opening != Opening::kNeedMore) co_return opening;
      // All that came before the end was there to be looked at.
      if (socket.peer_closed()) co_return Opening::kOther;
      if (!begun) deadline = std::min(deadline, io::MonotonicNow() + once_begun);
      begun = true;
    } else if (!peeked.would_block()) {
      co_return Opening::kNeedMore;
    }
    if (undecided != nullptr && undecided->leaving()) co_return Opening::kNeedMore;
    if (co_await Wait(socket.readable(), deadline) == nullptr) co_return Opening::kNeedMore;
  }
}

}  // namespace weft::proxy
