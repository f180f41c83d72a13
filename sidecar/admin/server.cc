#include "sidecar/admin/server.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sidecar/admin/request_parser.h"
#include "sidecar/io/buffer.h"
#include "sidecar/io/reactor.h"

namespace weft::admin {
namespace {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

std::string Encode(const Response& response, bool keep_alive, bool head_only) {
  const std::string_view phrase = ReasonPhrase(response.status);
  return absl::StrCat(
      "HTTP/1.1 ", response.status, " ", absl::string_view(phrase.data(), phrase.size()),
      "\r\nContent-Type: ", response.content_type, "\r\nContent-Length: ", response.body.size(),
      "\r\nX-Content-Type-Options: nosniff\r\nConnection: ", keep_alive ? "keep-alive" : "close",
      "\r\n\r\n", head_only ? absl::string_view() : absl::string_view(response.body));
}

Response Error(int status, std::string what) {
  return {.status = status, .body = absl::StrCat(what, "\n")};
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
  io::Task<bool> Exchange(io::Socket& socket, RequestParser& parser, io::Buffer& buffer);
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

// One request and its response. False: the connection is done.
io::Task<bool> Server::State::Exchange(io::Socket& socket, RequestParser& parser,
                                       io::Buffer& buffer) {
  constexpr size_t kPieceBytes = 4 * 1024;
  const io::Nanos deadline = io::MonotonicNow() + options.idle_timeout;
  RequestParser::State state = RequestParser::State::kMore;
  while (state == RequestParser::State::kMore) {
    if (!buffer.empty()) {
      size_t consumed = 0;
      state = parser.Feed(buffer.bytes(), consumed);
      buffer.Consume(consumed);
      continue;
    }
    const io::IoResult read = socket.Read(buffer.Room(kPieceBytes).first(kPieceBytes));
    if (read.ok()) {
      buffer.Commit(read.bytes);
    } else if (!read.would_block()) {
      co_return false;
    } else {
      buffer.Release();
      if (co_await io::Wait(socket.readable(), deadline) == nullptr) co_return false;
    }
  }
  Response response;
  bool keep_alive = false;
  bool head_only = false;
  if (state == RequestParser::State::kBad) {
    response = Error(400, "not an HTTP/1 request");
  } else if (state == RequestParser::State::kTooLarge) {
    response = Error(parser.head_complete() ? 413 : 431, "the request is larger than 8 KiB");
  } else {
    keep_alive = parser.keep_alive() && !closing;
    Request request = parser.TakeRequest();
    request.local = socket.local();
    head_only = request.method == "HEAD";
    response = co_await Answer(std::move(request));
  }
  const std::string bytes = Encode(response, keep_alive, head_only);
  const bool sent =
      co_await io::WriteAll(socket, io::AsBytes(bytes), io::MonotonicNow() + options.write_timeout);
  co_return sent&& keep_alive;
}

io::Task<void> Server::State::Serve(std::shared_ptr<State> self,
                                    std::unique_ptr<io::Socket> socket) {
  RequestParser parser;
  io::Buffer buffer;
  while (co_await self->Exchange(*socket, parser, buffer)) {
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
  auto state = std::make_shared<State>(options);
  state->listener = *std::move(listener);
  io::Spawn(State::Accept(state));
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

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

}  // namespace weft::admin
