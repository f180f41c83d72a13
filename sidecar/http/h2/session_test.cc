#include "sidecar/http/h2/session.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/http/h2/test_peers.h"

namespace weft::http::h2 {
namespace {

using State = Incoming::State;
using Failure = ClientExchange::Failure;

class SessionTest : public testing::Test {
 protected:
  io::Reactor reactor_;
};

TEST_F(SessionTest, AGetIsAnsweredWithHeadAndBody) {
  RunStory([]() -> io::Task<void> {
    Pair pair([](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      const RequestHead& request = exchange->request();
      EXPECT_EQ(request.method, "GET");
      EXPECT_EQ(request.scheme, "http");
      EXPECT_EQ(request.authority, "tea");
      EXPECT_EQ(request.path, "/leaf?x=1");
      EXPECT_EQ(request.version, Version::kHttp2);
      EXPECT_FALSE(request.has_body);
      EXPECT_EQ(request.headers.Get("x-case"), "Kept In Value");
      EXPECT_EQ(request.headers.Get("cookie"), "a=1; version=beta");
      EXPECT_FALSE(request.headers.Has("connection"));
      EXPECT_EQ(exchange->Peek().state, State::kEnd);
      ResponseHead head = Answer(200, true);
      head.content_length = 5;
      head.headers.Add("Set-Cookie", "a=1");
      head.headers.Add("Set-Cookie", "b=2");
      exchange->Respond(head);
      EXPECT_EQ(exchange->Write(io::AsBytes("green")), 5);
      exchange->End({});
      co_return;
    });
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    RequestHead head = Get("/leaf?x=1");
    head.headers.Add("X-Case", "Kept In Value");
    head.headers.Add("Cookie", "a=1");
    head.headers.Add("Cookie", "version=beta");
    head.headers.Add("Connection", "close");
    exchange->Send(head);
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    EXPECT_EQ(exchange->response().status, 200);
    EXPECT_EQ(exchange->response().content_length, 5);
    EXPECT_TRUE(exchange->response().has_body);
    EXPECT_EQ(exchange->response().headers.size(), 2);
    const Body body = co_await ReadBody(*exchange);
    EXPECT_EQ(body.end, State::kEnd);
    EXPECT_EQ(body.bytes, "green");
    EXPECT_TRUE(exchange->trailers().empty());
    EXPECT_EQ(exchange->failure(), Failure::kNone);
    exchange.reset();
    co_await pair.End();
    EXPECT_EQ(pair.client().error(), "");
    EXPECT_EQ(pair.server().error(), "");
  }());
}

TEST_F(SessionTest, BodiesAndTrailersTravelBothWays) {
  RunStory([]() -> io::Task<void> {
    Pair pair(&Echo);
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    exchange->Send(Post("/echo"));
    co_await WriteBody(*exchange, "some leaves");
    Headers trailers;
    trailers.Add("X-Sum", "11");
    exchange->End(trailers);
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    const Body body = co_await ReadBody(*exchange);
    EXPECT_EQ(body.bytes, "some leaves");
    EXPECT_EQ(exchange->trailers().Get("x-sum"), "11");
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, ManyExchangesShareTheConnection) {
  RunStory([]() -> io::Task<void> {
    Pair pair(&Echo);
    std::vector<std::unique_ptr<ClientExchange>> exchanges;
    for (int i = 0; i < 90; ++i) {
      exchanges.push_back(pair.client().Open());
      exchanges.back()->Send(Post("/" + std::to_string(i)));
      exchanges.back()->Write(io::AsBytes(std::string(static_cast<size_t>(i) * 100, 'x')));
      exchanges.back()->End({});
    }
    EXPECT_EQ(pair.client().active(), 90);
    for (size_t i = 0; i < exchanges.size(); ++i) {
      EXPECT_EQ(co_await AwaitHead(*exchanges[i]), State::kData);
      EXPECT_EQ(exchanges[i]->response().headers.Get("x-path"), "/" + std::to_string(i));
      EXPECT_EQ((co_await ReadBody(*exchanges[i])).bytes.size(), i * 100);
    }
    EXPECT_EQ(pair.client().active(), 0);
    exchanges.clear();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, AnEndlessBodyStopsAtTheWindowOfASlowReaderAndThenGoesOn) {
  RunStory([]() -> io::Task<void> {
    constexpr size_t kBytes = 5'000'000;
    bool go = false;
    size_t read = 0;
    Limits limits;
    limits.first_window_bytes = limits.stream_window_bytes = 100'000;
    Pair pair(
        [&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
          co_await Until([&] { return go; });
          const Body body = co_await ReadBody(*exchange);
          read = body.bytes.size();
          EXPECT_TRUE(std::ranges::all_of(body.bytes, [](char c) { return c == 't'; }));
          exchange->Respond(Answer(204));
        },
        limits);
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    RequestHead head = Post("/");
    head.content_length = kBytes;
    exchange->Send(head);
    size_t sent = 0;
    const std::string chunk(10'000, 't');
    while (sent < kBytes) {
      const size_t n =
          exchange->Write(io::AsBytes(std::string_view(chunk).substr(0, kBytes - sent)));
      sent += n;
      if (n > 0) continue;
      if (!go && pair.server().unconsumed_bytes() == limits.stream_window_bytes) {
        // Nothing moves: the window is full, and only a block more waits on this side.
        EXPECT_LT(sent, limits.stream_window_bytes + 20'000);
        go = true;
      }
      co_await io::Wait(exchange->writable(), io::MonotonicNow() + io::kMillisecond);
      EXPECT_LE(pair.server().unconsumed_bytes(), limits.stream_window_bytes);
    }
    exchange->End({});
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    EXPECT_EQ(exchange->response().status, 204);
    EXPECT_FALSE(exchange->response().has_body);
    EXPECT_EQ(read, kBytes);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, ASlowReaderDoesNotStopTheOthers) {
  RunStory([]() -> io::Task<void> {
    Limits limits;
    limits.first_window_bytes = limits.stream_window_bytes = 200'000;
    limits.connection_window_bytes = 100'000;
    bool go = false;
    Pair pair(
        [&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
          if (exchange->request().path == "/slow") co_await Until([&] { return go; });
          co_await Echo(std::move(exchange));
        },
        limits);
    std::unique_ptr<ClientExchange> slow = pair.client().Open();
    slow->Send(Post("/slow"));
    // More than the connection's window waits on the slow stream, and a second one passes.
    size_t sent = 0;
    while (pair.server().unconsumed_bytes() < 150'000) {
      sent += slow->Write(io::AsBytes(std::string(10'000, 's')));
      co_await io::Wait(slow->writable(), io::MonotonicNow() + io::kMillisecond);
    }
    std::unique_ptr<ClientExchange> quick = pair.client().Open();
    quick->Send(Post("/quick"));
    co_await WriteBody(*quick, std::string(10'000, 'q'));
    quick->End({});
    EXPECT_EQ(co_await AwaitHead(*quick), State::kData);
    EXPECT_EQ((co_await ReadBody(*quick)).bytes.size(), 10'000);
    go = true;
    slow->End({});
    EXPECT_EQ(co_await AwaitHead(*slow), State::kData);
    EXPECT_EQ((co_await ReadBody(*slow)).bytes.size(), sent);
    slow.reset();
    quick.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, InformationalHeadsComeOneByOneBeforeTheFinalOne) {
  RunStory([]() -> io::Task<void> {
    Pair pair([](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      EXPECT_TRUE(exchange->request().expect_continue);
      exchange->Respond(Answer(100));
      ResponseHead hints = Answer(103);
      hints.headers.Add("link", "</style.css>");
      exchange->Respond(hints);
      co_await Echo(std::move(exchange));
    });
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    RequestHead head = Post("/");
    head.headers.Add("expect", "100-continue");
    exchange->Send(head);
    exchange->End({});
    // All three are there before the first is looked at.
    co_await Until([&] { return pair.client().active() == 0; });
    for (const int status : {100, 103, 200}) {
      EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
      EXPECT_EQ(exchange->response().status, status);
      EXPECT_EQ(exchange->response().headers.Has("link"), status == 103);
      exchange->NextHead();
    }
    EXPECT_EQ((co_await ReadBody(*exchange)).end, State::kEnd);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, AResponseToHeadKeepsItsLengthAndHasNoBody) {
  RunStory([]() -> io::Task<void> {
    Pair pair([](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      ResponseHead head = Answer(200);
      head.content_length = 1234;
      exchange->Respond(head);
      co_return;
    });
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    RequestHead head = Get("/");
    head.method = "HEAD";
    exchange->Send(head);
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    EXPECT_EQ(exchange->response().content_length, 1234);
    EXPECT_FALSE(exchange->response().has_body);
    EXPECT_EQ(exchange->Peek().state, State::kEnd);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, AnUpgradeTravelsAsExtendedConnectAndBecomesATunnel) {
  RunStory([]() -> io::Task<void> {
    Pair pair([](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      EXPECT_EQ(exchange->request().method, "GET");
      EXPECT_EQ(exchange->request().upgrade, "websocket");
      EXPECT_EQ(exchange->request().path, "/chat");
      EXPECT_FALSE(exchange->request().has_body);
      ResponseHead head = Answer(101);
      head.upgrade = "websocket";
      head.headers.Add("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
      exchange->Respond(head);
      const Body body = co_await ReadBody(*exchange);
      EXPECT_EQ(body.bytes, "ping");
      co_await WriteBody(*exchange, "pong");
      exchange->End({});
    });
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    RequestHead head = Get("/chat");
    head.upgrade = "websocket";
    exchange->Send(head);
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    EXPECT_EQ(exchange->response().status, 101);
    EXPECT_EQ(exchange->response().upgrade, "websocket");
    EXPECT_TRUE(exchange->response().headers.Has("sec-websocket-accept"));
    co_await WriteBody(*exchange, "ping");
    exchange->End({});
    EXPECT_EQ((co_await ReadBody(*exchange)).bytes, "pong");
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, AnUpgradeThatIsIgnoredOrRefusedIsAnOrdinaryResponse) {
  RunStory([]() -> io::Task<void> {
    Pair pair([](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      exchange->Respond(Answer(exchange->request().path == "/refused" ? 403 : 200, true));
      co_await WriteBody(*exchange, "plain");
      exchange->End({});
    });
    for (const auto& [path, status] : {std::pair{"/refused", 403}, std::pair{"/ignored", 200}}) {
      std::unique_ptr<ClientExchange> exchange = pair.client().Open();
      RequestHead head = Get(path);
      head.upgrade = "websocket";
      exchange->Send(head);
      EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
      EXPECT_EQ(exchange->response().status, status);
      EXPECT_EQ(exchange->response().upgrade, "");
      EXPECT_EQ(exchange->response().headers.size(), 0);
      EXPECT_EQ((co_await ReadBody(*exchange)).bytes, "plain");
    }
    co_await pair.End();
  }());
}

TEST_F(SessionTest, AResponseMayConsistOfTrailersOnly) {
  RunStory([]() -> io::Task<void> {
    Pair pair([](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      EXPECT_EQ(exchange->request().headers.Get("te"), "trailers");
      ResponseHead head = Answer(200);
      head.headers.Add("grpc-status", "12");
      exchange->Respond(head);
      co_return;
    });
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    RequestHead head = Post("/pkg.Tea/Brew");
    head.headers.Add("te", "trailers");
    exchange->Send(head);
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    EXPECT_FALSE(exchange->response().has_body);
    EXPECT_EQ(exchange->response().headers.Get("grpc-status"), "12");
    EXPECT_EQ(exchange->Peek().state, State::kEnd);
    // The server has no use for the rest of the request, and says so.
    co_await Until([&] { return exchange->write_failed(); });
    EXPECT_EQ(exchange->failure(), Failure::kNone);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, ARequestWithoutAuthorityArrivesWithoutOne) {
  RunStory([]() -> io::Task<void> {
    Pair pair([](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      EXPECT_EQ(exchange->request().authority, "");
      exchange->Respond(Answer(204));
      co_return;
    });
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    RequestHead head = Get("/");
    head.authority.clear();
    exchange->Send(head);
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    EXPECT_EQ(exchange->response().status, 204);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, OverTheLimitAHeadIsAnsweredWith431AndTheConnectionLives) {
  RunStory([]() -> io::Task<void> {
    Limits limits;
    limits.max_header_count = 20;
    Pair pair(&Echo, limits);
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    RequestHead head = Get("/");
    for (int i = 0; i < 40; ++i) head.headers.Add("x-" + std::to_string(i), "y");
    exchange->Send(head);
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    EXPECT_EQ(exchange->response().status, 431);
    exchange = pair.client().Open();
    exchange->Send(Get("/"));
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    EXPECT_EQ(exchange->response().status, 200);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(SessionTest, AHeadLargerThanThePeerTakesIsNotSent) {
  RunStory([]() -> io::Task<void> {
    Limits limits;
    limits.max_header_bytes = 10'000;
    Pair pair(&Echo, limits);
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    exchange->Send(Get("/"));
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    exchange = pair.client().Open();
    RequestHead head = Get("/");
    head.headers.Add("cookie", std::string(11'000, 'c'));
    exchange->Send(head);
    EXPECT_EQ(exchange->PeekHead(), State::kFailed);
    EXPECT_EQ(exchange->failure(), Failure::kUnknown);
    EXPECT_EQ(exchange->error(), "the request's head is larger than the peer takes");
    exchange.reset();
    co_await pair.End();
  }());
}

}  // namespace
}  // namespace weft::http::h2
