#include "sidecar/admin/server.h"

#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "sidecar/admin/request_target.h"
#include "sidecar/http/h1/server_connection.h"
#include "sidecar/io/reactor.h"

namespace weft::admin {
namespace {

using http::Incoming;
using http::h1::ServerConnection;

constexpr size_t kMaxHeadBytes = 8 * 1024;
constexpr size_t kMaxBodyBytes = 8 * 1024;
constexpr http::h1::Limits kLimits{
    .max_head_bytes = kMaxHeadBytes, .max_fields = 100, .max_target_bytes = kMaxHeadBytes};
constexpr std::string_view kTooLarge = "the request is larger than 8 KiB";

Response Error(int status, std::string_view what) {
  return {.status = status, .body = absl::StrCat(ToAbsl(what), "\n")};
}

}  // namespace

struct Server::State {
  struct Page {
    std::string summary;
    Handler get;
    Handler post;
  };

  explicit State(Options o) : options(o) {}

  const Options options;
  std::unique_ptr<io::Listener> listener;
  std::map<std::string, Page> pages;
  size_t connections = 0;
  io::Event room;  // for Accept(): a connection has ended
  bool closing = false;

  std::string Index() const {
    std::string text;
    for (const auto& [path, page] : pages) {
      const char* method = page.get == nullptr    ? "POST"
                           : page.post == nullptr ? "GET"
                                                  : "GET, POST";
      absl::StrAppend(&text, path, "\t", method, "\t", page.summary, "\n");
    }
    return text;
  }

  io::Task<Response> Answer(Request request);
  static io::Task<void> Accept(std::shared_ptr<State> self);
  static io::Task<void> Serve(std::shared_ptr<State> self, std::unique_ptr<io::Socket> socket);
  io::Task<bool> Exchange(ServerConnection& connection, const io::Address& local);
};

io::Task<Response> Server::State::Answer(Request request) {
  const auto found = pages.find(request.path);
  if (found == pages.end()) {
    if (request.path == "/") co_return Response{.body = Index()};
    co_return Error(404, absl::StrCat("no such page; there are:\n", Index()));
  }
  const bool post = request.method == "POST";
  const Handler& handler = post ? found->second.post : found->second.get;
  if (handler == nullptr || (!post && request.method != "GET" && request.method != "HEAD")) {
    co_return Error(405, absl::StrCat(request.path, " does not take ", request.method));
  }
  co_return co_await handler(std::move(request));
}

// Reads a request's body, which means nothing, to its end. False: it is too large, or never ends.
io::Task<bool> SkipBody(ServerConnection& connection, io::Nanos deadline) {
  size_t total = 0;
  for (;;) {
    const Incoming::Piece piece = connection.Peek();
    if (piece.state == Incoming::State::kEnd) co_return true;
    if (piece.state == Incoming::State::kFailed) co_return false;
    if (piece.state == Incoming::State::kWouldBlock) {
      if (co_await io::Wait(connection.readable(), deadline) == nullptr) co_return false;
      continue;
    }
    total += piece.data.size();
    if (total > kMaxBodyBytes) co_return false;
    connection.Consume(piece.data.size());
  }
}

io::Task<void> Send(ServerConnection& connection, const Response& response, bool head_only,
                    io::Nanos deadline) {
  http::ResponseHead head;
  head.status = response.status;
  head.headers.Add("Content-Type", response.content_type);
  head.headers.Add("X-Content-Type-Options", "nosniff");
  head.content_length = response.body.size();
  head.has_body = !head_only && !response.body.empty();
  connection.Respond(head);
  std::span<const uint8_t> left = io::AsBytes(response.body);
  while (head.has_body && !left.empty() && !connection.write_failed()) {
    const size_t written = connection.Write(left);
    left = left.subspan(written);
    if (written == 0 && co_await io::Wait(connection.writable(), deadline) == nullptr) break;
  }
  if (head.has_body && left.empty()) connection.End({});
}

// One request and its response. False: the connection is done.
io::Task<bool> Server::State::Exchange(ServerConnection& connection, const io::Address& local) {
  const ServerConnection::Next next =
      co_await connection.NextRequest(options.idle_timeout, options.idle_timeout);
  if (next == ServerConnection::Next::kClosed) co_return false;
  Response response;
  bool head_only = false;
  if (next == ServerConnection::Next::kRefused) {
    const http::h1::ParseError& refusal = connection.refusal();
    response = Error(refusal.status, refusal.status == 431 ? kTooLarge : refusal.field);
  } else {
    head_only = connection.request().method == "HEAD";
    if (closing) connection.CloseAfterResponse();
    RequestTarget target = ParseTarget(connection.request().path);
    Request request{.method = connection.request().method,
                    .path = std::move(target.path),
                    .query = std::move(target.query),
                    .local = local};
    if (co_await SkipBody(connection, io::MonotonicNow() + options.idle_timeout)) {
      response = co_await Answer(std::move(request));
    } else {
      response = Error(413, kTooLarge);
      connection.CloseAfterResponse();
    }
  }
  const io::Nanos deadline = io::MonotonicNow() + options.write_timeout;
  co_await Send(connection, response, head_only, deadline);
  co_return co_await connection.Finish(deadline) && next == ServerConnection::Next::kRequest;
}

io::Task<void> Server::State::Serve(std::shared_ptr<State> self,
                                    std::unique_ptr<io::Socket> socket) {
  {
    ServerConnection connection(socket.get(), kLimits);
    const io::Address local = socket->local();
    while (co_await self->Exchange(connection, local)) {
    }
  }
  socket->ShutdownWrite();
  --self->connections;
  self->room.Notify();
}

io::Task<void> Server::State::Accept(std::shared_ptr<State> self) {
  for (;;) {
    while (self->connections >= self->options.max_connections && !self->closing) {
      co_await io::Wait(self->room);
    }
    std::unique_ptr<io::Socket> socket = co_await self->listener->Accept();
    if (socket == nullptr) co_return;
    ++self->connections;
    io::Spawn(Serve(self, std::move(socket)));
  }
}

absl::StatusOr<std::unique_ptr<Server>> Server::Open(const io::Address& address, Options options) {
  absl::StatusOr<std::unique_ptr<io::Listener>> listener = io::Listener::Open(address, false);
  if (!listener.ok()) return listener.status();
  std::unique_ptr<Server> server = Make(*std::move(listener), options);
  server->Start();
  return server;
}

std::unique_ptr<Server> Server::Make(std::unique_ptr<io::Listener> listener, Options options) {
  auto state = std::make_shared<State>(options);
  state->listener = std::move(listener);
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

void Server::Start() { io::Spawn(State::Accept(state_)); }

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() {
  state_->closing = true;
  state_->listener->Close();
  state_->room.Notify();
}

void Server::Get(std::string path, std::string summary, Handler handler) {
  auto& page = state_->pages[std::move(path)];
  page.summary = std::move(summary);
  page.get = std::move(handler);
}

void Server::Post(std::string path, std::string summary, Handler handler) {
  auto& page = state_->pages[std::move(path)];
  page.summary = std::move(summary);
  page.post = std::move(handler);
}

namespace {

Server::Handler AtOnce(std::function<Response(const Request&)> handler) {
  return [handler = std::move(handler)](Request request) -> io::Task<Response> {
    co_return handler(request);
  };
}

}  // namespace

void Server::Get(std::string path, std::string summary,
                 std::function<Response(const Request&)> handler) {
  Get(std::move(path), std::move(summary), AtOnce(std::move(handler)));
}

void Server::Post(std::string path, std::string summary,
                  std::function<Response(const Request&)> handler) {
  Post(std::move(path), std::move(summary), AtOnce(std::move(handler)));
}

io::Address Server::local() const { return state_->listener->local(); }

int Server::fd() const { return state_->listener->fd(); }

}  // namespace weft::admin
