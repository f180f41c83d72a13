// A client and a server connection talk to each other over a socket pair.
#include <sys/socket.h>

#include <array>
#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "sidecar/http/h1/client_connection.h"
#include "sidecar/http/h1/server_connection.h"
#include "sidecar/io/reactor.h"
#include "sidecar/io/socket.h"

namespace weft::http::h1 {
namespace {

using State = Incoming::State;

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    server_stream_ = io::Socket::Adopt(fds[0]);
    std::unique_ptr<io::Socket> peer = io::Socket::Adopt(fds[1]);
    peer_ = peer.get();
    client_ = std::make_unique<ClientConnection>(std::move(peer), Limits());
    server_ = std::make_unique<ServerConnection>(server_stream_.get(), Limits());
  }

  // Runs both ends until both have ended.
  void Run(io::Task<void> a, io::Task<void> b) {
    int running = 2;
    const auto wrap = [](io::Task<void> task, int* left) -> io::Task<void> {
      co_await std::move(task);
      if (--*left == 0) io::Reactor::Current()->Stop();
    };
    io::Spawn(wrap(std::move(a), &running));
    io::Spawn(wrap(std::move(b), &running));
    if (running > 0) reactor_.Run();
    EXPECT_EQ(running, 0);
  }

  static io::Task<std::string> ReadAll(Incoming& in, State* end) {
    std::string all;
    for (;;) {
      const Incoming::Piece piece = in.Peek();
      if (piece.state == State::kWouldBlock) {
        co_await Wait(in.readable());
      } else if (piece.state == State::kData) {
        all += io::AsText(piece.data);
        in.Consume(piece.data.size());
      } else {
        *end = piece.state;
        co_return all;
      }
    }
  }

  static io::Task<void> WriteAll(Outgoing& out, std::string body, Headers trailers) {
    std::string_view left = body;
    while (!left.empty() && !out.write_failed()) {
      const size_t n = out.Write(io::AsBytes(left));
      if (n == 0) co_await Wait(out.writable());
      left.remove_prefix(n);
    }
    out.End(trailers);
    for (out.Flush(); !out.flushed() && !out.write_failed(); out.Flush()) {
      co_await Wait(out.writable());
    }
  }

  io::Task<State> ClientHead() {
    for (;;) {
      const State state = client_->PeekHead();
      if (state != State::kWouldBlock) co_return state;
      co_await Wait(client_->readable());
    }
  }

  static constexpr io::Nanos kLimit = 20 * io::kSecond;
  io::Reactor reactor_;
  std::unique_ptr<io::Socket> server_stream_;
  io::Socket* peer_ = nullptr;  // the client's, for bytes as they are
  std::unique_ptr<ClientConnection> client_;
  std::unique_ptr<ServerConnection> server_;
};

RequestHead Get(std::string path) {
  RequestHead head;
  head.method = "GET";
  head.authority = "tea";
  head.path = std::move(path);
  return head;
}

ResponseHead Ok(std::optional<uint64_t> length) {
  ResponseHead head;
  head.status = 200;
  head.has_body = length != 0;
  head.content_length = length;
  return head;
}

TEST_F(ConnectionTest, CarriesOneExchangeAfterAnother) {
  constexpr int kExchanges = 3;
  const auto serve = [&]() -> io::Task<void> {
    for (int i = 0; i < kExchanges; ++i) {
      EXPECT_EQ(co_await server_->NextRequest(kLimit, kLimit), ServerConnection::Next::kRequest);
      EXPECT_EQ(server_->request().path, "/" + std::to_string(i));
      server_->Respond(Ok(5));
      co_await WriteAll(*server_, "hello", {});
      EXPECT_TRUE(co_await server_->Finish(io::MonotonicNow() + kLimit));
    }
  };
  const auto ask = [&]() -> io::Task<void> {
    for (int i = 0; i < kExchanges; ++i) {
      client_->Send(Get("/" + std::to_string(i)));
      EXPECT_EQ(co_await ClientHead(), State::kData);
      EXPECT_EQ(client_->response().status, 200);
      State end = State::kFailed;
      EXPECT_EQ(co_await ReadAll(*client_, &end), "hello");
      EXPECT_EQ(end, State::kEnd);
      EXPECT_TRUE(client_->reusable());
      client_->Renew();
      EXPECT_TRUE(client_->StillAlive());
    }
  };
  Run(serve(), ask());
}

TEST_F(ConnectionTest, CarriesLargeChunkedBodiesBothWaysWithTrailers) {
  const std::string body(5'000'000, 'x');
  const auto serve = [&]() -> io::Task<void> {
    EXPECT_EQ(co_await server_->NextRequest(kLimit, kLimit), ServerConnection::Next::kRequest);
    State end = State::kFailed;
    const std::string received = co_await ReadAll(*server_, &end);
    EXPECT_EQ(received.size(), body.size());
    EXPECT_EQ(server_->trailers().Get("x-sum"), "1");
    server_->Respond(Ok(std::nullopt));
    Headers trailers;
    trailers.Add("x-sum", "2");
    co_await WriteAll(*server_, received, trailers);
    EXPECT_TRUE(co_await server_->Finish(io::MonotonicNow() + kLimit));
  };
  const auto ask = [&]() -> io::Task<void> {
    RequestHead head = Get("/");
    head.method = "POST";
    head.has_body = true;
    client_->Send(head);
    Headers trailers;
    trailers.Add("x-sum", "1");
    co_await WriteAll(*client_, body, trailers);
    EXPECT_EQ(co_await ClientHead(), State::kData);
    State end = State::kFailed;
    EXPECT_EQ((co_await ReadAll(*client_, &end)).size(), body.size());
    EXPECT_EQ(client_->trailers().Get("x-sum"), "2");
    EXPECT_TRUE(client_->reusable());
  };
  Run(serve(), ask());
}

TEST_F(ConnectionTest, TellsARequestThatWasNeverWrittenFromOneThatMayHaveArrived) {
  const auto serve = [&]() -> io::Task<void> {
    EXPECT_EQ(co_await server_->NextRequest(kLimit, kLimit), ServerConnection::Next::kRequest);
    server_.reset();
    server_stream_.reset();
  };
  const auto ask = [&]() -> io::Task<void> {
    client_->Send(Get("/"));
    EXPECT_EQ(co_await ClientHead(), State::kFailed);
    EXPECT_EQ(client_->failure(), ClientExchange::Failure::kUnknown);
    EXPECT_FALSE(client_->reusable());
    client_->Renew();
    client_->Send(Get("/again"));
    EXPECT_EQ(co_await ClientHead(), State::kFailed);
    EXPECT_EQ(client_->failure(), ClientExchange::Failure::kNotProcessed);
  };
  Run(serve(), ask());
}

TEST_F(ConnectionTest, PassesInformationalHeadsAndAnswersHeadWithoutABody) {
  const auto serve = [&]() -> io::Task<void> {
    EXPECT_EQ(co_await server_->NextRequest(kLimit, kLimit), ServerConnection::Next::kRequest);
    ResponseHead hints;
    hints.status = 103;
    hints.headers.Add("link", "x");
    server_->Respond(hints);
    ResponseHead head = Ok(1000);
    head.has_body = false;
    server_->Respond(head);
    EXPECT_TRUE(co_await server_->Finish(io::MonotonicNow() + kLimit));
  };
  const auto ask = [&]() -> io::Task<void> {
    RequestHead head = Get("/");
    head.method = "HEAD";
    client_->Send(head);
    EXPECT_EQ(co_await ClientHead(), State::kData);
    EXPECT_EQ(client_->response().status, 103);
    client_->NextHead();
    EXPECT_EQ(co_await ClientHead(), State::kData);
    EXPECT_EQ(client_->response().content_length, 1000u);
    EXPECT_FALSE(client_->response().has_body);
    EXPECT_EQ(client_->Peek().state, State::kEnd);
    EXPECT_TRUE(client_->reusable());
  };
  Run(serve(), ask());
}

TEST_F(ConnectionTest, BecomesATunnelAfterAnUpgrade) {
  const auto serve = [&]() -> io::Task<void> {
    EXPECT_EQ(co_await server_->NextRequest(kLimit, kLimit), ServerConnection::Next::kRequest);
    EXPECT_EQ(server_->request().upgrade, "echo");
    ResponseHead head;
    head.status = 101;
    head.upgrade = "echo";
    server_->Respond(head);
    server_->Flush();
    State end = State::kFailed;
    const std::string received = co_await ReadAll(*server_, &end);
    EXPECT_EQ(received, "raw bytes");
    EXPECT_EQ(end, State::kEnd);
    EXPECT_FALSE(co_await server_->Finish(io::MonotonicNow() + kLimit));
  };
  const auto ask = [&]() -> io::Task<void> {
    RequestHead head = Get("/");
    head.upgrade = "echo";
    client_->Send(head);
    EXPECT_EQ(co_await ClientHead(), State::kData);
    EXPECT_EQ(client_->response().status, 101);
    EXPECT_EQ(client_->Write(io::AsBytes("raw bytes")), 9u);
    client_->Flush();
    client_.reset();
  };
  Run(serve(), ask());
}

TEST_F(ConnectionTest, FieldsThatFrameAMessageAreWrittenOnce) {
  const auto serve = [&]() -> io::Task<void> {
    EXPECT_EQ(co_await server_->NextRequest(kLimit, kLimit), ServerConnection::Next::kRequest);
    State end = State::kFailed;
    EXPECT_EQ(co_await ReadAll(*server_, &end), "abc");
    EXPECT_EQ(end, State::kEnd);
    EXPECT_EQ(server_->request().authority, "tea");
    EXPECT_EQ(server_->request().headers.size(), 1u);
    EXPECT_EQ(server_->trailers().size(), 1u);
    server_->Respond(Ok(0));
    EXPECT_TRUE(co_await server_->Finish(io::MonotonicNow() + kLimit));
  };
  // As a peer in HTTP/2 might send them.
  const auto ask = [&]() -> io::Task<void> {
    Headers fields;
    for (const std::string_view name :
         {"host", "content-length", "transfer-encoding", "content_length", "transfer_encoding",
          "connection", "upgrade", "keep-alive", "proxy-connection", "http2-settings", "x-other"}) {
      fields.Add(name, "1");
    }
    RequestHead head = Get("/");
    head.method = "POST";
    head.has_body = true;
    head.headers = fields;
    client_->Send(head);
    co_await WriteAll(*client_, "abc", fields);
    EXPECT_EQ(co_await ClientHead(), State::kData);
    EXPECT_EQ(client_->response().status, 200);
  };
  Run(serve(), ask());
}

TEST_F(ConnectionTest, AHeadThatBeginsMustEndInTime) {
  const auto serve = [&]() -> io::Task<void> {
    EXPECT_EQ(co_await server_->NextRequest(kLimit, io::kMillisecond),
              ServerConnection::Next::kRefused);
    EXPECT_EQ(server_->refusal().status, 408);
    ResponseHead head = Ok(0);
    head.status = server_->refusal().status;
    server_->Respond(head);
    EXPECT_FALSE(co_await server_->Finish(io::MonotonicNow() + kLimit));
    server_.reset();
    server_stream_.reset();
  };
  const auto ask = [&]() -> io::Task<void> {
    std::array<uint8_t, 200> room;
    peer_->Write(io::AsBytes("GET / HTTP/1.1\r\nHost:"));
    std::string answer;
    for (;;) {
      const io::IoResult read = peer_->Read(room);
      if (read.ok()) {
        answer += io::AsText(std::span(room).first(read.bytes));
      } else if (read.would_block()) {
        co_await Wait(peer_->readable());
      } else {
        break;
      }
    }
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
    peer_->ShutdownWrite();
  };
  Run(serve(), ask());
}

TEST_F(ConnectionTest, AnIdleConnectionIsClosedWithoutAWord) {
  const auto serve = [&]() -> io::Task<void> {
    EXPECT_EQ(co_await server_->NextRequest(io::kMillisecond, kLimit),
              ServerConnection::Next::kClosed);
  };
  // An empty line is no request yet.
  const auto ask = [&]() -> io::Task<void> {
    peer_->Write(io::AsBytes("\r\n"));
    co_return;
  };
  Run(serve(), ask());
}

TEST_F(ConnectionTest, DrainsAnIdleConnectionAtOnce) {
  const auto serve = [&]() -> io::Task<void> {
    EXPECT_EQ(co_await server_->NextRequest(kLimit, kLimit), ServerConnection::Next::kClosed);
  };
  const auto drain = [&]() -> io::Task<void> {
    server_->Drain();
    co_return;
  };
  Run(serve(), drain());
}

}  // namespace
}  // namespace weft::http::h1
