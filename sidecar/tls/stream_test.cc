#include "sidecar/tls/stream.h"

#include <sys/socket.h>

#include <functional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "base/x509_issuer.h"
#include "gtest/gtest.h"
#include "sidecar/io/join.h"
#include "sidecar/io/reactor.h"

namespace weft::tls {
namespace {

constexpr char kTea[] = "spiffe://cluster.local/ns/shop/sa/tea";

// A mesh's CA.
class Ca {
 public:
  Ca() : key_(*x509::PrivateKey::Generate()), root_(*x509::IssueRoot(key_, {}, absl::Now())) {}

  struct Leaf {
    SpiffeId identity = {"cluster.local", "shop", "tea"};
    absl::Time issued = absl::Now();
    absl::Duration lifetime = absl::Hours(1);
  };
  // What a workload with that certificate has.
  Credentials Issue(const Leaf& leaf) const {
    const x509::PrivateKey key = *x509::PrivateKey::Generate();
    const x509::Certificate certificate =
        *x509::IssueLeaf(root_, key_, key.Public(),
                         {.identity = leaf.identity, .lifetime = leaf.lifetime}, leaf.issued);
    Credentials credentials;
    credentials.chain_pem = {*certificate.ToPem()};
    EVP_PKEY_up_ref(key.get());
    credentials.key.reset(key.get());
    credentials.roots_pem = {*root_.ToPem()};
    credentials.trust_domain = "cluster.local";
    return credentials;
  }
  std::string root_pem() const { return *root_.ToPem(); }

 private:
  x509::PrivateKey key_;
  x509::Certificate root_;
};

using Outcome = absl::StatusOr<std::unique_ptr<Stream>>;

class StreamTest : public testing::Test {
 protected:
  // Lets both shake hands and returns what each came to.
  std::pair<Outcome, Outcome> Handshake(const Credentials& client, const Credentials& server,
                                        std::string expected = kTea,
                                        std::string alpn = std::string(kAlpnHttp)) {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    Outcome client_outcome = absl::UnknownError("");
    Outcome server_outcome = absl::UnknownError("");
    const auto connect = [&]() -> io::Task<void> {
      client_outcome = co_await Connect(io::Socket::Adopt(fds[0]), *Context::Create(client), alpn,
                                        expected, io::MonotonicNow() + 20 * io::kSecond);
      // As the other side learns of a refusal.
      if (!client_outcome.ok()) shutdown(fds[0], SHUT_RDWR);
    };
    const auto accept = [&]() -> io::Task<void> {
      server_outcome = co_await Accept(io::Socket::Adopt(fds[1]), *Context::Create(server),
                                       io::MonotonicNow() + 20 * io::kSecond);
    };
    RunBoth(connect(), accept());
    return {std::move(client_outcome), std::move(server_outcome)};
  }

  void RunBoth(io::Task<void> a, io::Task<void> b) {
    bool ended = false;
    const auto run = [](io::Task<void> both, bool* end) -> io::Task<void> {
      co_await std::move(both);
      *end = true;
      io::Reactor::Current()->Stop();
    };
    io::Spawn(run(io::Both(std::move(a), std::move(b)), &ended));
    if (!ended) reactor_.Run();
    EXPECT_TRUE(ended);
  }

  static io::Task<void> Send(io::Stream& to, std::string text) {
    EXPECT_TRUE(co_await io::WriteAll(to, io::AsBytes(text)));
    to.ShutdownWrite();
    EXPECT_TRUE(co_await io::FlushAll(to));
  }

  static io::Task<void> Receive(io::Stream& from, std::string* text, io::IoResult* last) {
    std::vector<uint8_t> room(10'000);
    for (;;) {
      *last = from.Read(room);
      if (last->would_block()) {
        co_await Wait(from.readable());
      } else if (last->ok()) {
        text->append(io::AsText(std::span(room).first(last->bytes)));
      } else {
        co_return;
      }
    }
  }

  io::Reactor reactor_;
  const Ca ca_;
};

TEST_F(StreamTest, BothEndsKnowEachOther) {
  const auto [client, server] =
      Handshake(ca_.Issue({.identity = {"cluster.local", "shop", "web"}}), ca_.Issue({}));
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*client)->peer_identity(), kTea);
  EXPECT_EQ((*server)->peer_identity(), "spiffe://cluster.local/ns/shop/sa/web");
  EXPECT_EQ((*client)->alpn(), kAlpnHttp);
  EXPECT_EQ((*server)->alpn(), kAlpnHttp);
}

TEST_F(StreamTest, EachDirectionEndsByItself) {
  auto [client, server] = Handshake(ca_.Issue({}), ca_.Issue({}));
  ASSERT_TRUE(client.ok() && server.ok());
  const std::string question(3'000'000, 'q');
  std::string heard;
  io::IoResult last{io::IoResult::State::kFailed};
  RunBoth(Send(**client, question), Receive(**server, &heard, &last));
  EXPECT_EQ(heard, question);
  EXPECT_TRUE(last.end());
  // The other direction still works.
  heard.clear();
  RunBoth(Send(**server, "answer"), Receive(**client, &heard, &last));
  EXPECT_EQ(heard, "answer");
  EXPECT_TRUE(last.end());
}

TEST_F(StreamTest, AConnectionThatIsCutIsNotTakenForAnEnd) {
  auto [client, server] = Handshake(ca_.Issue({}), ca_.Issue({}));
  ASSERT_TRUE(client.ok() && server.ok());
  shutdown((*client)->socket().fd(), SHUT_WR);
  std::string heard;
  io::IoResult last{io::IoResult::State::kOk};
  const auto nothing = []() -> io::Task<void> { co_return; };
  RunBoth(nothing(), Receive(**server, &heard, &last));
  EXPECT_TRUE(last.failed());
  EXPECT_NE((*server)->error(), "");
}

struct Case {
  std::string name;
  std::function<void(const Ca& ca, Credentials* client, Credentials* server)> arrange;
  bool client_refuses;
  std::string reason;
  std::string message;
};

class RefusalTest : public StreamTest, public testing::WithParamInterface<Case> {};

TEST_P(RefusalTest, IsRefusedWithItsReason) {
  Credentials client = ca_.Issue({.identity = {"cluster.local", "shop", "web"}});
  Credentials server = ca_.Issue({});
  GetParam().arrange(ca_, &client, &server);
  const auto [client_outcome, server_outcome] = Handshake(client, server);
  const Outcome& refusing = GetParam().client_refuses ? client_outcome : server_outcome;
  EXPECT_EQ(refusing.status().code(), absl::StatusCode::kUnauthenticated) << refusing.status();
  EXPECT_NE(std::string(refusing.status().message()).find(GetParam().message), std::string::npos)
      << refusing.status();
  EXPECT_EQ(RefusalOf(refusing.status()), GetParam().reason) << refusing.status();
}

INSTANTIATE_TEST_SUITE_P(
    Peers, RefusalTest,
    testing::ValuesIn(std::vector<Case>{
        {"ServerWithAnotherServiceAccount",
         [](const Ca& ca, Credentials*, Credentials* server) {
           *server = ca.Issue({.identity = {"cluster.local", "shop", "coffee"}});
         },
         true, "wrong-identity", "expected spiffe://cluster.local/ns/shop/sa/tea"},
        {"ServerOfAnotherTrustDomain",
         [](const Ca& ca, Credentials*, Credentials* server) {
           *server = ca.Issue({.identity = {"other.mesh", "shop", "tea"}});
         },
         true, "wrong-trust-domain", "not of trust domain cluster.local"},
        {"ClientOfAnotherTrustDomain",
         [](const Ca& ca, Credentials* client, Credentials*) {
           *client = ca.Issue({.identity = {"other.mesh", "shop", "web"}});
         },
         false, "wrong-trust-domain", "not of trust domain cluster.local"},
        {"ServerOfAnotherCa",
         [](const Ca& ca, Credentials*, Credentials* server) {
           *server = Ca().Issue({});
           server->roots_pem.push_back(ca.root_pem());
         },
         true, "untrusted", "certificate"},
        {"ClientOfAnotherCa",
         [](const Ca& ca, Credentials* client, Credentials*) {
           *client = Ca().Issue({});
           client->roots_pem.push_back(ca.root_pem());
         },
         false, "untrusted", "certificate"},
        {"ExpiredServer",
         [](const Ca& ca, Credentials*, Credentials* server) {
           *server =
               ca.Issue({.issued = absl::Now() - absl::Seconds(30), .lifetime = absl::Seconds(10)});
         },
         true, "expired", "expired"},
        {"ExpiredClient",
         [](const Ca& ca, Credentials* client, Credentials*) {
           *client =
               ca.Issue({.issued = absl::Now() - absl::Seconds(30), .lifetime = absl::Seconds(10)});
         },
         false, "expired", "expired"},
        {"ClientOfTomorrow",
         [](const Ca& ca, Credentials* client, Credentials*) {
           *client = ca.Issue({.issued = absl::Now() + absl::Hours(24)});
         },
         false, "not-yet-valid", "not yet valid"},
        {"ClientWithoutACertificate",
         [](const Ca&, Credentials* client, Credentials*) {
           client->chain_pem.clear();
           client->key.reset();
         },
         false, "no-certificate", "CERTIFICATE"},
    }),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST_F(StreamTest, AClientThatOffersAnotherProtocolIsRefused) {
  const auto [client, server] = Handshake(ca_.Issue({}), ca_.Issue({}), kTea, "http/1.1");
  EXPECT_EQ(RefusalOf(client.status()), "refused-by-peer") << client.status();
  EXPECT_EQ(RefusalOf(server.status()), "protocol") << server.status();
}

TEST(ContextTest, NamesWhatIsBad) {
  const Ca ca;
  Credentials credentials = ca.Issue({});
  credentials.roots_pem = {"garbage"};
  EXPECT_NE(Context::Create(credentials).status().message().find("roots[0]"),
            absl::string_view::npos);
  credentials = ca.Issue({});
  credentials.chain_pem[0] = "garbage";
  EXPECT_NE(Context::Create(credentials).status().message().find("chain[0]"),
            absl::string_view::npos);
  credentials = ca.Issue({});
  credentials.key = ca.Issue({}).key;
  EXPECT_NE(Context::Create(credentials).status().message().find("key"), absl::string_view::npos);
  credentials = ca.Issue({});
  credentials.roots_pem.clear();
  EXPECT_EQ(Context::Create(credentials).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft::tls
