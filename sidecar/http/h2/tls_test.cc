// Sessions over mutual TLS, as between sidecars.
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/x509_issuer.h"
#include "gtest/gtest.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/h2/test_peers.h"
#include "sidecar/tls/context.h"
#include "sidecar/tls/stream.h"

namespace weft::http::h2 {
namespace {

using State = Incoming::State;

constexpr char kServerId[] = "spiffe://cluster.local/ns/shop/sa/tea";

// Contexts of two workloads of one mesh.
class TlsTest : public testing::Test {
 public:
  void SetUp() override {
    const absl::Time now = absl::Now();
    const absl::StatusOr<x509::PrivateKey> root_key = x509::PrivateKey::Generate();
    ASSERT_TRUE(root_key.ok());
    const absl::StatusOr<x509::Certificate> root = x509::IssueRoot(*root_key, {}, now);
    ASSERT_TRUE(root.ok()) << root.status();
    const auto make = [&](const std::string& account) {
      const absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::Generate();
      const absl::StatusOr<x509::Certificate> leaf = x509::IssueLeaf(
          *root, *root_key, key->Public(), {.identity = {"cluster.local", "shop", account}}, now);
      EVP_PKEY_up_ref(key->get());
      tls::Credentials credentials;
      credentials.chain_pem = {*leaf->ToPem()};
      credentials.key.reset(key->get());
      credentials.roots_pem = {*root->ToPem()};
      credentials.trust_domain = "cluster.local";
      return *tls::Context::Create(credentials);
    };
    client_context_ = make("guest");
    server_context_ = make("tea");
  }

  io::Task<void> Handshake(std::unique_ptr<io::Stream>* client,
                           std::unique_ptr<io::Stream>* server) {
    auto [client_end, server_end] = SocketPair();
    io::Spawn([](std::unique_ptr<io::Socket> socket, std::shared_ptr<const tls::Context> context,
                 std::unique_ptr<io::Stream>* to) -> io::Task<void> {
      absl::StatusOr<std::unique_ptr<tls::Stream>> stream =
          co_await tls::Accept(std::move(socket), context, io::kNever);
      EXPECT_TRUE(stream.ok()) << stream.status();
      if (stream.ok()) *to = *std::move(stream);
    }(std::move(server_end), server_context_, server));
    absl::StatusOr<std::unique_ptr<tls::Stream>> stream = co_await tls::Connect(
        std::move(client_end), client_context_, std::string(tls::kAlpnHttp), kServerId, io::kNever);
    EXPECT_TRUE(stream.ok()) << stream.status();
    if (stream.ok()) *client = *std::move(stream);
    co_await Until([&] { return *server != nullptr; });
  }

  io::Reactor reactor_;
  std::shared_ptr<const tls::Context> client_context_;
  std::shared_ptr<const tls::Context> server_context_;
};

TEST_F(TlsTest, ManyExchangesWithBodiesOfAllSizesShareOneConnection) {
  RunStory([](TlsTest* test) -> io::Task<void> {
    std::unique_ptr<io::Stream> client_end, server_end;
    co_await test->Handshake(&client_end, &server_end);
    Pair pair(&Echo, std::move(client_end), std::move(server_end));
    const std::vector<size_t> sizes = {0,      1,      100,    16'000,  16'384,
                                       16'385, 50'000, 65'536, 300'000, 2'000'000};
    int left = 0;
    for (int round = 0; round < 3; ++round) {
      for (const size_t size : sizes) {
        ++left;
        io::Spawn([](ClientSession* client, size_t bytes, int* running) -> io::Task<void> {
          std::unique_ptr<ClientExchange> exchange = client->Open();
          exchange->Send(Post("/echo"));
          const std::string body(bytes, static_cast<char>('a' + bytes % 26));
          EXPECT_TRUE(co_await WriteBody(*exchange, body));
          exchange->End({});
          EXPECT_EQ(co_await AwaitHead(*exchange), State::kData);
          const Body echoed = co_await ReadBody(*exchange);
          EXPECT_EQ(echoed.end, State::kEnd);
          EXPECT_EQ(echoed.bytes, body);
          --*running;
        }(&pair.client(), size, &left));
      }
    }
    co_await Until([&] { return left == 0; });
    EXPECT_EQ(pair.client().unconsumed_bytes(), 0);
    EXPECT_EQ(pair.server().unconsumed_bytes(), 0);
    co_await pair.End();
    EXPECT_EQ(pair.client().error(), "");
    EXPECT_EQ(pair.server().error(), "");
  }(this));
}

TEST_F(TlsTest, ADrainedServerClosesInOrderWithNothingLost) {
  RunStory([](TlsTest* test) -> io::Task<void> {
    std::unique_ptr<io::Stream> client_end, server_end;
    co_await test->Handshake(&client_end, &server_end);
    Pair pair(&Echo, std::move(client_end), std::move(server_end));
    int answered = 0;
    int refused = 0;
    for (int i = 0; i < 300; ++i) {
      std::unique_ptr<ClientExchange> exchange = pair.client().Open();
      if (exchange == nullptr) break;
      exchange->Send(Get("/"));
      if (i == 200) pair.server().Drain();
      if (co_await AwaitHead(*exchange) == State::kData) {
        EXPECT_EQ((co_await ReadBody(*exchange)).end, State::kEnd);
        ++answered;
      } else {
        EXPECT_EQ(exchange->failure(), ClientExchange::Failure::kNotProcessed);
        ++refused;
      }
    }
    EXPECT_GE(answered, 201);
    EXPECT_LE(refused, 1);
    co_await Until([&] { return pair.client_ended() && pair.server_ended(); });
    EXPECT_EQ(pair.client().error(), "");
    EXPECT_EQ(pair.server().error(), "");
  }(this));
}

}  // namespace
}  // namespace weft::http::h2
