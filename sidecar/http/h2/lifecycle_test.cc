// How exchanges and connections end, before their time and in order.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/h2/test_peers.h"

namespace weft::http::h2 {
namespace {

using State = Incoming::State;
using Failure = ClientExchange::Failure;

class LifecycleTest : public testing::Test {
 protected:
  io::Reactor reactor_;
};

// Holds its exchange until told to answer.
struct Pending {
  std::vector<std::unique_ptr<ServerExchange>> exchanges;

  Handler handler() {
    return [this](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      exchanges.push_back(std::move(exchange));
      co_return;
    };
  }
  void AnswerAll() {
    for (std::unique_ptr<ServerExchange>& exchange : exchanges) exchange->Respond(Answer(204));
    exchanges.clear();
  }
};

TEST_F(LifecycleTest, AServerThatDropsAnExchangeFailsItForTheClient) {
  RunStory([]() -> io::Task<void> {
    bool head_seen = false;
    Pair pair([&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      if (exchange->request().path == "/half") {
        exchange->Respond(Answer(200, true));
        co_await WriteBody(*exchange, "half of it");
        co_await Until([&] { return head_seen; });
      }
    });
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    exchange->Send(Get("/nothing"));
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kFailed);
    EXPECT_EQ(exchange->failure(), Failure::kUnknown);
    EXPECT_EQ(exchange->error(), "the stream was reset: INTERNAL_ERROR");
    exchange = pair.client().Open();
    exchange->Send(Get("/half"));
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    head_seen = true;
    const Body body = co_await ReadBody(*exchange);
    EXPECT_EQ(body.end, State::kFailed);
    EXPECT_EQ(exchange->failure(), Failure::kUnknown);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(LifecycleTest, AClientThatDropsAnExchangeIsNoticedByTheServer) {
  RunStory([]() -> io::Task<void> {
    bool noticed = false;
    Pair pair([&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      EXPECT_EQ((co_await ReadBody(*exchange)).end, State::kFailed);
      EXPECT_TRUE(exchange->write_failed());
      exchange->Respond(Answer(200, true));
      EXPECT_EQ(exchange->Write(io::AsBytes("into the void")), 0);
      noticed = true;
    });
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    exchange->Send(Post("/"));
    co_await WriteBody(*exchange, "half of it");
    co_await Until([&] { return pair.server().active() == 1; });
    exchange.reset();
    co_await Until([&] { return noticed; });
    co_await pair.End();
  }());
}

TEST_F(LifecycleTest, AnExchangeThatWasNeverSentLeavesNoTrace) {
  RunStory([]() -> io::Task<void> {
    Pair pair(&Echo);
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    EXPECT_EQ(pair.client().active(), 1);
    exchange.reset();
    EXPECT_EQ(pair.client().active(), 0);
    exchange = pair.client().Open();
    exchange->Send(Get("/"));
    // Withdrawn before it was written.
    exchange.reset();
    co_await Until([&] { return pair.client().active() == 0; });
    co_await pair.End();
    EXPECT_EQ(pair.server().error(), "");
  }());
}

TEST_F(LifecycleTest, AResponseThatWasGivenInFullArrivesAfterItsExchangeIsGone) {
  RunStory([]() -> io::Task<void> {
    Limits client_limits;
    client_limits.stream_window_bytes = 65'535;
    const std::string bytes(16'000, 'b');
    Pair pair(
        [&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
          exchange->Respond(Answer(200, true));
          EXPECT_EQ(exchange->Write(io::AsBytes(bytes)), bytes.size());
          Headers trailers;
          trailers.Add("grpc-status", "0");
          exchange->End(trailers);
          co_return;
        },
        {}, client_limits);
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    exchange->Send(Post("/"));  // and its body never ends
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    const Body body = co_await ReadBody(*exchange);
    EXPECT_EQ(body.bytes, bytes);
    EXPECT_EQ(body.end, State::kEnd);
    EXPECT_EQ(exchange->trailers().Get("grpc-status"), "0");
    co_await Until([&] { return pair.client().active() == 0; });
    EXPECT_TRUE(exchange->write_failed());
    EXPECT_EQ(exchange->failure(), Failure::kNone);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(LifecycleTest, ADrainingServerFinishesWhatIsInFlightAndTheClientGoesElsewhere) {
  RunStory([]() -> io::Task<void> {
    Pending pending;
    Pair pair(pending.handler());
    int changes = 0;
    pair.client().set_on_change([&] { ++changes; });
    std::unique_ptr<ClientExchange> first = pair.client().Open();
    first->Send(Get("/1"));
    co_await Until([&] { return pending.exchanges.size() == 1; });
    pair.server().Drain();
    // On its way before the client can know: still served.
    std::unique_ptr<ClientExchange> second = pair.client().Open();
    second->Send(Get("/2"));
    co_await Until([&] { return pending.exchanges.size() == 2; });
    co_await Until([&] { return !pair.client().CanOpen(); });
    EXPECT_EQ(pair.client().Open(), nullptr);
    EXPECT_EQ(changes, 1);
    EXPECT_FALSE(pair.client().closed());
    pending.AnswerAll();
    EXPECT_EQ(co_await AwaitHead(*first), State::kData);
    EXPECT_EQ(co_await AwaitHead(*second), State::kData);
    co_await Until([&] { return pair.client_ended() && pair.server_ended(); });
    EXPECT_TRUE(pair.client().closed());
    EXPECT_EQ(changes, 2);
    EXPECT_EQ(pair.client().error(), "");
    EXPECT_EQ(pair.server().error(), "");
  }());
}

TEST_F(LifecycleTest, ADrainingClientOpensNothingAndEndsWithItsLastExchange) {
  RunStory([]() -> io::Task<void> {
    Pending pending;
    Pair pair(pending.handler());
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    exchange->Send(Get("/"));
    pair.client().Drain();
    EXPECT_FALSE(pair.client().CanOpen());
    co_await Until([&] { return pending.exchanges.size() == 1; });
    EXPECT_FALSE(pair.client().closed());
    pending.AnswerAll();
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    co_await Until([&] { return pair.client_ended() && pair.server_ended(); });
  }());
}

TEST_F(LifecycleTest, TheClientKeepsToThePeersLimitAndIsToldWhenThereIsRoom) {
  RunStory([]() -> io::Task<void> {
    Pending pending;
    Limits limits;
    limits.max_concurrent_streams = 2;
    Pair pair(pending.handler(), limits);
    std::vector<bool> changes;
    std::vector<std::unique_ptr<ClientExchange>> exchanges;
    exchanges.push_back(pair.client().Open());
    exchanges.back()->Send(Get("/"));
    co_await Until([&] { return pending.exchanges.size() == 1; });
    pair.client().set_on_change([&] { changes.push_back(pair.client().CanOpen()); });
    exchanges.push_back(pair.client().Open());
    exchanges.back()->Send(Get("/"));
    EXPECT_EQ(pair.client().Open(), nullptr);
    co_await Until([&] { return pending.exchanges.size() == 2; });
    pending.AnswerAll();
    EXPECT_EQ(co_await AwaitHead(*exchanges[1]), State::kData);
    EXPECT_EQ(changes, std::vector<bool>{true});
    EXPECT_TRUE(pair.client().CanOpen());
    exchanges.clear();
    co_await pair.End();
  }());
}

TEST_F(LifecycleTest, RequestsBeyondALimitThatTheClientDidNotKnowYetAreProvablyNotProcessed) {
  RunStory([]() -> io::Task<void> {
    Pending pending;
    Limits limits;
    limits.max_concurrent_streams = 2;
    Pair pair(pending.handler(), limits);
    std::vector<std::unique_ptr<ClientExchange>> exchanges;
    for (int i = 0; i < 5; ++i) {
      exchanges.push_back(pair.client().Open());
      exchanges.back()->Send(Get("/"));
    }
    for (int i = 2; i < 5; ++i) {
      EXPECT_EQ(co_await AwaitHead(*exchanges[i]), State::kFailed);
      EXPECT_EQ(exchanges[i]->failure(), Failure::kNotProcessed);
    }
    EXPECT_EQ(pending.exchanges.size(), 2);
    pending.AnswerAll();
    EXPECT_EQ(co_await AwaitHead(*exchanges[0]), State::kData);
    exchanges.clear();
    co_await pair.End();
  }());
}

TEST_F(LifecycleTest, AClientOpensNoMoreStreamsThanItsLimitInAll) {
  RunStory([]() -> io::Task<void> {
    Limits limits;
    limits.max_streams = 3;
    Pair pair(&Echo, {}, limits);
    for (int i = 0; i < 3; ++i) {
      std::unique_ptr<ClientExchange> exchange = pair.client().Open();
      exchange->Send(Get("/"));
      EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
      EXPECT_EQ((co_await ReadBody(*exchange)).end, State::kEnd);
    }
    EXPECT_EQ(pair.client().Open(), nullptr);
    co_await Until([&] { return pair.client_ended() && pair.server_ended(); });
  }());
}

TEST_F(LifecycleTest, AConnectionThatIsCutFailsWhatIsOpen) {
  RunStory([]() -> io::Task<void> {
    Pending pending;
    Pair pair(pending.handler());
    std::unique_ptr<ClientExchange> sent = pair.client().Open();
    std::unique_ptr<ClientExchange> unsent = pair.client().Open();
    sent->Send(Post("/"));
    co_await Until([&] { return pending.exchanges.size() == 1; });
    pair.server().Close("the pod goes away");
    EXPECT_TRUE(pair.server().closed());
    EXPECT_TRUE(pending.exchanges[0]->write_failed());
    EXPECT_EQ(pending.exchanges[0]->Peek().state, State::kFailed);
    EXPECT_EQ(co_await AwaitHead(*sent), State::kFailed);
    EXPECT_EQ(sent->failure(), Failure::kUnknown);
    unsent->Send(Get("/"));
    EXPECT_EQ(co_await AwaitHead(*unsent), State::kFailed);
    EXPECT_EQ(unsent->failure(), Failure::kNotProcessed);
    co_await Until([&] { return pair.client_ended() && pair.server_ended(); });
    EXPECT_EQ(pair.server().error(), "the pod goes away");
    // Exchanges survive their sessions.
    pending.exchanges[0]->Respond(Answer(200));
  }());
}

TEST_F(LifecycleTest, ExchangesMayOutliveTheirSessions) {
  Pending pending;
  std::unique_ptr<ClientExchange> exchange;
  RunStory([](Pending* p, std::unique_ptr<ClientExchange>* e) -> io::Task<void> {
    Pair pair(p->handler());
    *e = pair.client().Open();
    (*e)->Send(Post("/"));
    co_await WriteBody(**e, "bytes that nobody consumes");
    co_await Until([&] { return pair.server().unconsumed_bytes() > 0; });
    pair.client().Close("over");
    pair.server().Close("over");
    co_await Until([&] { return pair.client_ended() && pair.server_ended(); });
  }(&pending, &exchange));
  EXPECT_EQ(exchange->PeekHead(), State::kFailed);
  EXPECT_EQ(exchange->error(), "over");
  EXPECT_EQ(exchange->Write(io::AsBytes("x")), 0);
  ServerExchange& served = *pending.exchanges[0];
  EXPECT_EQ(served.Peek().state, State::kData);
  served.Consume(served.Peek().data.size());
  EXPECT_EQ(served.Peek().state, State::kFailed);
  EXPECT_TRUE(served.write_failed());
}

TEST_F(LifecycleTest, AnIdleConnectionIsDrained) {
  RunStory([]() -> io::Task<void> {
    Limits limits;
    limits.idle = 20 * io::kMillisecond;
    Pair pair(&Echo, limits);
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    exchange->Send(Get("/"));
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    co_await Until([&] { return pair.client_ended() && pair.server_ended(); });
    EXPECT_EQ(pair.client().error(), "");
  }());
}

TEST_F(LifecycleTest, ASilentPeerIsGivenUp) {
  RunStory([]() -> io::Task<void> {
    auto [client_end, server_end] = SocketPair();
    Limits limits;
    limits.ping_after = 20 * io::kMillisecond;
    limits.ping_timeout = 20 * io::kMillisecond;
    std::unique_ptr<ClientSession> client = ClientSession::Create(std::move(client_end), limits);
    std::unique_ptr<ClientExchange> exchange = client->Open();
    exchange->Send(Get("/"));
    co_await client->Run();
    EXPECT_EQ(client->error(), "the peer has fallen silent");
    EXPECT_EQ(exchange->PeekHead(), State::kFailed);
    EXPECT_EQ(exchange->failure(), Failure::kUnknown);
  }());
}

TEST_F(LifecycleTest, APeerThatAnswersPingsIsNotGivenUp) {
  RunStory([]() -> io::Task<void> {
    Pending pending;
    Limits limits;
    limits.ping_after = 10 * io::kMillisecond;
    limits.ping_timeout = 500 * io::kMillisecond;
    Pair pair(pending.handler(), {}, limits);
    std::unique_ptr<ClientExchange> exchange = pair.client().Open();
    exchange->Send(Get("/"));
    co_await io::Sleep(io::MonotonicNow() + 200 * io::kMillisecond);
    EXPECT_FALSE(pair.client().closed());
    pending.AnswerAll();
    EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
    exchange.reset();
    co_await pair.End();
  }());
}

TEST_F(LifecycleTest, APeerThatReadsNothingIsGivenUp) {
  RunStory([]() -> io::Task<void> {
    auto [client_end, server_end] = SocketPair();
    Limits limits;
    limits.write_stall = 20 * io::kMillisecond;
    std::unique_ptr<ClientSession> client = ClientSession::Create(std::move(client_end), limits);
    std::vector<std::unique_ptr<ClientExchange>> exchanges;
    RequestHead head = Get("/");
    // More than a socket's buffer takes; HPACK would index what repeats, but not paths.
    for (int i = 0; i < 100; ++i) {
      exchanges.push_back(client->Open());
      head.path = "/" + std::string(30'000, static_cast<char>('a' + i % 20));
      exchanges.back()->Send(head);
    }
    co_await client->Run();
    EXPECT_EQ(client->error(), "the peer takes nothing of what is written to it");
    EXPECT_EQ(exchanges.back()->failure(), Failure::kNotProcessed);
    EXPECT_EQ(exchanges.front()->failure(), Failure::kUnknown);
  }());
}

TEST_F(LifecycleTest, ASessionMayBeDestroyedWithoutHavingRun) {
  auto [client_end, server_end] = SocketPair();
  std::unique_ptr<ClientSession> client = ClientSession::Create(std::move(client_end));
  std::unique_ptr<ClientExchange> exchange = client->Open();
  exchange->Send(Get("/"));
  client.reset();
  EXPECT_EQ(exchange->PeekHead(), State::kFailed);
  EXPECT_EQ(exchange->failure(), Failure::kNotProcessed);
}

}  // namespace
}  // namespace weft::http::h2
