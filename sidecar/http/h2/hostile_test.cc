// Peers that mean harm, and peers that are broken.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/h2/test_peers.h"

namespace weft::http::h2 {
namespace {

using State = Incoming::State;

enum Type : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
  kNothing = 255,
};
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;
constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kStreamClosed = 5;
constexpr uint32_t kEnhanceYourCalm = 11;
constexpr uint32_t kCompressionError = 9;
constexpr uint32_t kFlowControlError = 3;
constexpr uint32_t kFrameSizeError = 6;

class HostileTest : public testing::Test {
 protected:
  io::Reactor reactor_;
};

std::string Open() { return std::string(kPreface) + Frame(kSettings, 0, 0, ""); }

std::string Request(uint32_t stream, uint8_t flags = kEndStream | kEndHeaders) {
  return Frame(kHeaders, flags, stream, GetFields());
}

// What the peer sends after a proper beginning, and how the connection then ends.
struct ConnectionCase {
  std::string name;
  std::string bytes;
  uint32_t code;
  std::string error;  // contained in the session's
};

class ConnectionErrorTest : public testing::TestWithParam<ConnectionCase> {
 protected:
  io::Reactor reactor_;
};

TEST_P(ConnectionErrorTest, EndsTheConnectionWithItsReason) {
  RunStory([](const ConnectionCase& c) -> io::Task<void> {
    Limits limits;
    limits.free_frames = {.burst = 500, .per_second = 1};
    limits.broken_streams = {.burst = 50, .per_second = 1};
    RawClient client(&Echo, limits);
    io::Spawn(client.Send(Open() + c.bytes));
    const RawClient::Received goaway = co_await client.Await(kGoaway);
    EXPECT_EQ(goaway.type, kGoaway);
    EXPECT_EQ(GoawayCode(goaway), c.code);
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
    EXPECT_NE(client.server().error().find(c.error), std::string::npos) << client.server().error();
    EXPECT_EQ(client.server().active(), 0);
  }(GetParam()));
}

std::string Repeat(int count, const std::string& bytes) {
  std::string all;
  for (int i = 0; i < count; ++i) all += bytes;
  return all;
}

std::string RapidReset() {
  std::string bytes;
  for (uint32_t i = 0; i < 200; ++i) {
    bytes += Request(2 * i + 1) + Frame(kRstStream, 0, 2 * i + 1, Number32(8));
  }
  return bytes;
}

// Makes the server do the resetting: a window that overflows.
std::string MadeYouReset() {
  std::string bytes;
  for (uint32_t i = 0; i < 200; ++i) {
    bytes +=
        Request(2 * i + 1, kEndHeaders) + Frame(kWindowUpdate, 0, 2 * i + 1, Number32(0x7fffffff));
  }
  return bytes;
}

// An entry of 4,000 bytes in the dynamic table, and references to it of one byte each.
std::string HpackBomb() {
  std::string block = GetFields();
  const std::string value(3'900, 'b');
  block += std::string("\x40\x01x\x7f", 4);
  // 3,900 - 127 in RFC 7541's variable-length form.
  block += std::string("\xbd\x1d", 2);
  block += value;
  block += std::string(10'000, '\xbe');
  return Frame(kHeaders, kEndStream | kEndHeaders, 1, block);
}

INSTANTIATE_TEST_SUITE_P(
    Peers, ConnectionErrorTest,
    testing::Values(
        ConnectionCase{"PingFlood", Repeat(2'000, Frame(kPing, 0, 0, "12345678")), kEnhanceYourCalm,
                       "frames that carry nothing"},
        ConnectionCase{"SettingsFlood", Repeat(2'000, Frame(kSettings, 0, 0, "")), kEnhanceYourCalm,
                       "frames that carry nothing"},
        ConnectionCase{"PriorityFlood", Repeat(2'000, Frame(kPriority, 0, 1, Number32(0) + "\x10")),
                       kEnhanceYourCalm, "frames that carry nothing"},
        ConnectionCase{"UnknownFrameFlood", Repeat(2'000, Frame(0xfe, 0, 0, "")), kEnhanceYourCalm,
                       "frames that carry nothing"},
        ConnectionCase{"WindowUpdateFlood", Repeat(2'000, Frame(kWindowUpdate, 0, 0, Number32(1))),
                       kEnhanceYourCalm, "frames that carry nothing"},
        ConnectionCase{"EmptyDataFlood",
                       Request(1, kEndHeaders) + Repeat(2'000, Frame(kData, 0, 1, "")),
                       kEnhanceYourCalm, "frames that carry nothing"},
        ConnectionCase{"RapidReset", RapidReset(), kEnhanceYourCalm, "breaks off too many streams"},
        ConnectionCase{"MadeYouReset", MadeYouReset(), kEnhanceYourCalm,
                       "breaks off too many streams"},
        ConnectionCase{"HpackBomb", HpackBomb(), kEnhanceYourCalm, "far beyond the limit"},
        ConnectionCase{"ContinuationFlood",
                       Frame(kHeaders, kEndStream, 1, GetFields()) +
                           Repeat(2'000, Frame(kContinuation, 0, 1, Literal("x", "y"))),
                       kEnhanceYourCalm, ""},
        ConnectionCase{"DataOnStreamZero", Frame(kData, 0, 0, "x"), kProtocolError, ""},
        ConnectionCase{"EvenStream", Request(2), kProtocolError, ""},
        ConnectionCase{"DataOnIdleStream", Frame(kData, 0, 7, "x"), kProtocolError, ""},
        ConnectionCase{"DataAfterTheEnd", Request(1) + Frame(kData, 0, 1, "x"), kStreamClosed, ""},
        ConnectionCase{"BadHpack", Frame(kHeaders, kEndStream | kEndHeaders, 1, "\xff\xff\xff\xff"),
                       kCompressionError, ""},
        ConnectionCase{"WindowOverflow", Frame(kWindowUpdate, 0, 0, Number32(0x7fffffff)),
                       kFlowControlError, ""},
        ConnectionCase{"ShortPing", Frame(kPing, 0, 0, "123"), kFrameSizeError, ""},
        ConnectionCase{"HugeFrame", Frame(kData, 0, 1, std::string(20'000, 'x')), kFrameSizeError,
                       ""}),
    [](const auto& info) { return info.param.name; });

TEST_F(HostileTest, APeerThatDoesNotSpeakHttp2IsHungUpOn) {
  RunStory([]() -> io::Task<void> {
    RawClient client(&Echo);
    co_await client.Send("GET / HTTP/1.1\r\nHost: tea\r\n\r\n");
    EXPECT_EQ(GoawayCode(co_await client.Await(kGoaway)), kProtocolError);
    EXPECT_EQ((co_await client.Await(kNothing)).type, kNothing);
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
  }());
}

// Requests that RFC 9113 section 8.1.1 calls malformed.
struct RequestCase {
  std::string name;
  std::string fields;
};

class MalformedRequestTest : public testing::TestWithParam<RequestCase> {
 protected:
  io::Reactor reactor_;
};

TEST_P(MalformedRequestTest, IsResetAndTheConnectionLives) {
  RunStory([](const RequestCase& c) -> io::Task<void> {
    int requests = 0;
    RawClient client([&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      ++requests;
      co_await Echo(std::move(exchange));
    });
    co_await client.Send(Open() + Frame(kHeaders, kEndStream | kEndHeaders, 1, c.fields));
    const RawClient::Received reset = co_await client.Await(kRstStream);
    EXPECT_EQ(reset.stream, 1);
    EXPECT_EQ(reset.payload, Number32(kProtocolError));
    EXPECT_EQ(requests, 0);
    co_await client.Send(Request(3));
    EXPECT_EQ((co_await client.Await(kHeaders)).stream, 3);
    EXPECT_EQ(requests, 1);
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
  }(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(
    Requests, MalformedRequestTest,
    testing::Values(RequestCase{"NoPath", Literal(":method", "GET") + Literal(":scheme", "http") +
                                              Literal(":authority", "tea")},
                    RequestCase{"TwoPaths", GetFields() + Literal(":path", "/2")},
                    RequestCase{"PseudoFieldAfterField", Literal("x", "y") + GetFields()},
                    RequestCase{"UpperCaseName", GetFields() + Literal("X-Case", "y")},
                    RequestCase{"Connection", GetFields() + Literal("connection", "close")},
                    RequestCase{"TransferEncoding",
                                GetFields() + Literal("transfer-encoding", "chunked")},
                    RequestCase{"OtherTe", GetFields() + Literal("te", "gzip")},
                    RequestCase{"LineBreakInValue", GetFields() + Literal("x", "a\r\nb: c")},
                    RequestCase{"ColonInName", GetFields() + Literal("x:y", "a")},
                    RequestCase{"TwoHosts", GetFields() + Literal("host", "coffee")},
                    RequestCase{"UnknownPseudoField", GetFields() + Literal(":leaf", "green")},
                    RequestCase{"LengthWithoutBody", GetFields() + Literal("content-length", "3")},
                    RequestCase{"TwoLengths", GetFields() + Literal("content-length", "0") +
                                                  Literal("content-length", "0")},
                    RequestCase{"LengthOfWords", GetFields() + Literal("content-length", "many")}),
    [](const auto& info) { return info.param.name; });

TEST_F(HostileTest, ABodyOfAnotherLengthThanAnnouncedFailsTheExchange) {
  RunStory([]() -> io::Task<void> {
    bool failed = false;
    RawClient client([&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      EXPECT_EQ(exchange->request().content_length, 3);
      failed = (co_await ReadBody(*exchange)).end == State::kFailed;
    });
    co_await client.Send(Open() +
                         Frame(kHeaders, kEndHeaders, 1,
                               Literal(":method", "POST") + Literal(":scheme", "http") +
                                   Literal(":path", "/") + Literal(":authority", "tea") +
                                   Literal("content-length", "3")) +
                         Frame(kData, kEndStream, 1, "four"));
    EXPECT_EQ((co_await client.Await(kRstStream)).payload, Number32(kProtocolError));
    co_await Until([&] { return failed; });
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
  }());
}

TEST_F(HostileTest, CookieCrumbsArriveAsOneFieldAndHostStandsInForAuthority) {
  RunStory([]() -> io::Task<void> {
    RawClient client([](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
      EXPECT_EQ(exchange->request().headers.Get("cookie"), "a=1; version=beta");
      EXPECT_EQ(exchange->request().headers.size(), 1);
      EXPECT_EQ(exchange->request().authority, "tea:80");
      exchange->Respond(Answer(204));
      co_return;
    });
    co_await client.Send(Open() +
                         Frame(kHeaders, kEndStream | kEndHeaders, 1,
                               Literal(":method", "GET") + Literal(":scheme", "http") +
                                   Literal(":path", "/") + Literal("cookie", "a=1") +
                                   Literal("host", "tea:80") + Literal("cookie", "version=beta")));
    EXPECT_EQ((co_await client.Await(kHeaders)).stream, 1);
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
  }());
}

TEST_F(HostileTest, ResetsDoNotBuyMoreWorkThanTheLimitOfStreams) {
  RunStory([]() -> io::Task<void> {
    std::vector<std::unique_ptr<ServerExchange>> working;
    Limits limits;
    limits.max_concurrent_streams = 10;
    RawClient client(
        [&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
          working.push_back(std::move(exchange));
          co_return;
        },
        limits);
    std::string bytes = Open();
    for (uint32_t i = 0; i < 100; ++i) {
      bytes += Request(2 * i + 1) + Frame(kRstStream, 0, 2 * i + 1, Number32(8));
    }
    co_await client.Send(bytes + Frame(kPing, 0, 0, "12345678"));
    co_await client.Await(kPing);
    EXPECT_EQ(working.size(), 20);
    EXPECT_TRUE(working[0]->write_failed());
    working.clear();
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
  }());
}

TEST_F(HostileTest, APeerThatCancelsAsMuchAsItCompletesIsNoAttacker) {
  RunStory([]() -> io::Task<void> {
    Limits limits;
    limits.broken_streams = {.burst = 10, .per_second = 1};
    std::vector<std::unique_ptr<ServerExchange>> cancelled;
    RawClient client(
        [&](std::unique_ptr<ServerExchange> exchange) -> io::Task<void> {
          if (exchange->request().path != "/") {
            cancelled.push_back(std::move(exchange));
          } else {
            exchange->Respond(Answer(204));
          }
          co_return;
        },
        limits);
    co_await client.Send(Open());
    for (uint32_t i = 0; i < 200; ++i) {
      co_await client.Send(Request(4 * i + 1) +
                           Frame(kHeaders, kEndStream | kEndHeaders, 4 * i + 3,
                                 Literal(":method", "GET") + Literal(":scheme", "http") +
                                     Literal(":path", "/no") + Literal(":authority", "tea")));
      EXPECT_EQ((co_await client.Await(kHeaders)).stream, 4 * i + 1);
      co_await client.Send(Frame(kRstStream, 0, 4 * i + 3, Number32(8)));
    }
    EXPECT_FALSE(client.server().closed()) << client.server().error();
    cancelled.clear();
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
  }());
}

TEST_F(HostileTest, AHeadThatDoesNotEndEndsTheConnection) {
  RunStory([]() -> io::Task<void> {
    Limits limits;
    limits.head = 20 * io::kMillisecond;
    RawClient client(&Echo, limits);
    co_await client.Send(Open() + Frame(kHeaders, kEndStream, 1, GetFields()));
    EXPECT_EQ(GoawayCode(co_await client.Await(kGoaway)), kEnhanceYourCalm);
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
    EXPECT_EQ(client.server().error(), "the peer does not end a head that it has begun");
  }());
}

TEST_F(HostileTest, APeerThatPingsButDoesNotReadIsBounded) {
  RunStory([]() -> io::Task<void> {
    RawClient client(&Echo);
    // The answers fill the socket, then nghttp2's queue, then it is enough.
    bool sent = false;
    io::Spawn([](RawClient* peer, std::string bytes, bool* done) -> io::Task<void> {
      co_await peer->Send(std::move(bytes));
      *done = true;
    }(&client, Open() + Repeat(100'000, Frame(kPing, 0, 0, "12345678")), &sent));
    co_await Until([&] { return client.server().closed(); });
    EXPECT_NE(client.server().error(), "");
    // The connection's end fails what is still being sent; nobody may hang up under it.
    co_await Until([&] { return sent; });
    client.HangUp();
    co_await Until([&] { return client.server_ended(); });
  }());
}

// Responses that a client must not take.
TEST_F(HostileTest, AServerWithMalformedResponsesFailsTheExchangeOnly) {
  const std::vector<std::string> responses = {
      Literal("x", "y"),                                          // no status
      Literal(":status", "101"),                                  // means nothing here
      Literal(":status", "999") + Literal(":status", "200"),      // twice
      Literal(":status", "abc"),                                  // no number
      Literal(":status", "200") + Literal("upgrade", "h2c"),      // concerns one connection
      Literal(":status", "200") + Literal("content-length", "5")  // and no body
  };
  RunStory([](std::vector<std::string> cases) -> io::Task<void> {
    auto [client_end, server_end] = SocketPair();
    std::unique_ptr<ClientSession> client = ClientSession::Create(std::move(client_end));
    bool ended = false;
    io::Spawn([](ClientSession* session, bool* done) -> io::Task<void> {
      co_await session->Run();
      *done = true;
    }(client.get(), &ended));
    const std::string settings = Frame(kSettings, 0, 0, "");
    co_await io::WriteAll(*server_end, io::AsBytes(settings));
    uint32_t id = 1;
    for (const std::string& fields : cases) {
      std::unique_ptr<ClientExchange> exchange = client->Open();
      exchange->Send(Get("/"));
      // Let it be written first.
      co_await io::Sleep(io::MonotonicNow() + 5 * io::kMillisecond);
      const std::string response = Frame(kHeaders, kEndStream | kEndHeaders, id, fields);
      co_await io::WriteAll(*server_end, io::AsBytes(response));
      EXPECT_EQ(co_await AwaitHead(*exchange), State::kFailed) << fields;
      EXPECT_EQ(exchange->failure(), ClientExchange::Failure::kUnknown);
      EXPECT_NE(exchange->error(), "");
      EXPECT_FALSE(client->closed()) << client->error();
      id += 2;
    }
    server_end.reset();
    co_await Until([&] { return ended; });
  }(responses));
}

TEST_F(HostileTest, GoawayLeavesThoseBelowItToFinishAndThoseAboveProvablyUnprocessed) {
  RunStory([]() -> io::Task<void> {
    auto [client_end, server_end] = SocketPair();
    std::unique_ptr<ClientSession> client = ClientSession::Create(std::move(client_end));
    bool ended = false;
    io::Spawn([](ClientSession* session, bool* done) -> io::Task<void> {
      co_await session->Run();
      *done = true;
    }(client.get(), &ended));
    std::unique_ptr<ClientExchange> below = client->Open();
    std::unique_ptr<ClientExchange> above = client->Open();
    below->Send(Get("/"));
    above->Send(Get("/"));
    co_await io::Sleep(io::MonotonicNow() + 5 * io::kMillisecond);
    const std::string bytes = Frame(kSettings, 0, 0, "") +
                              Frame(kGoaway, 0, 0, Number32(1) + Number32(0)) +
                              Frame(kHeaders, kEndStream | kEndHeaders, 1, "\x88");
    co_await io::WriteAll(*server_end, io::AsBytes(bytes));
    EXPECT_EQ(co_await AwaitHead(*below), State::kData);
    EXPECT_EQ(below->response().status, 200);
    EXPECT_EQ(co_await AwaitHead(*above), State::kFailed);
    EXPECT_EQ(above->failure(), ClientExchange::Failure::kNotProcessed);
    EXPECT_FALSE(client->CanOpen());
    server_end.reset();
    co_await Until([&] { return ended; });
  }());
}

TEST_F(HostileTest, WhatThePeerSaidOfItsReasonIsKept) {
  RunStory([]() -> io::Task<void> {
    auto [client_end, server_end] = SocketPair();
    std::unique_ptr<ClientSession> client = ClientSession::Create(std::move(client_end));
    const std::string bytes =
        Frame(kSettings, 0, 0, "") +
        Frame(kGoaway, 0, 0, Number32(0) + Number32(kEnhanceYourCalm) + "too_many\npings");
    co_await io::WriteAll(*server_end, io::AsBytes(bytes));
    server_end.reset();
    co_await client->Run();
    EXPECT_EQ(client->error(),
              "the peer ended the connection: ENHANCE_YOUR_CALM (too_many\\npings)");
  }());
}

TEST_F(HostileTest, RequestsThatWereNotWrittenBeforeThePeerClosedAreProvablyUnprocessed) {
  RunStory([]() -> io::Task<void> {
    auto [client_end, server_end] = SocketPair();
    io::Socket* transport = client_end.get();
    std::unique_ptr<ClientSession> client = ClientSession::Create(std::move(client_end));
    std::unique_ptr<ClientExchange> exchange = client->Open();
    server_end.reset();
    co_await Until([&] { return transport->peer_closed(); });
    exchange->Send(Get("/"));
    co_await client->Run();
    EXPECT_EQ(exchange->PeekHead(), State::kFailed);
    EXPECT_EQ(exchange->failure(), ClientExchange::Failure::kNotProcessed);
  }());
}

}  // namespace
}  // namespace weft::http::h2
