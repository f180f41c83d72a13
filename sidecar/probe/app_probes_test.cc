#include "sidecar/probe/app_probes.h"

#include <memory>
#include <string>
#include <thread>

#include "base/x509_issuer.h"
#include "base/x509_key.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "openssl/ssl.h"
#include "sidecar/discovery/testing/reactor_run.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/io/socket.h"
#include "sidecar/probe/check.h"

namespace weft::probe {
namespace {

using ::testing::HasSubstr;

TEST(ParseAppProbes, ReadsWhatTheInjectorWrites) {
  const absl::StatusOr<AppProbes> probes = ParseAppProbes(R"({
    "/app-probe/web/readyz": {"http": {"scheme": "HTTP", "port": 8080, "path": "/ready", "host": "",
        "headers": [{"name": "X-Probe", "value": "yes"}]}, "timeout_seconds": 2},
    "/app-probe/db/livez": {"tcp": {"port": 5432}, "timeout_seconds": 1},
    "/app-probe/rpc/livez": {"grpc": {"port": 9000, "service": "shop.Tea"}}})");
  ASSERT_TRUE(probes.ok()) << probes.status();
  ASSERT_EQ(probes->probes_size(), 3);
  const AppProbe& web = probes->probes().at("/app-probe/web/readyz");
  EXPECT_EQ(web.http().port(), 8080);
  EXPECT_EQ(web.http().headers(0).name(), "X-Probe");
  EXPECT_EQ(web.timeout_seconds(), 2);
  EXPECT_EQ(probes->probes().at("/app-probe/db/livez").tcp().port(), 5432);
  EXPECT_EQ(probes->probes().at("/app-probe/rpc/livez").grpc().service(), "shop.Tea");
}

TEST(ParseAppProbes, NamesTheProbeAndTheFieldThatIsWrong) {
  const struct {
    const char* json;
    const char* says;
  } cases[] = {
      {"nonsense", "WEFT_APP_PROBES"},
      {R"({"/app-probe/a/livez": {"http": {"port": "x"}}})", "port"},
      {R"({"/app-probe/a/livez": {"http": {"port": 0}}})", "/app-probe/a/livez: http.port: 0"},
      {R"({"/app-probe/a/livez": {"http": {"port": 70000}}})", "70000 is no port"},
      {R"({"/app-probe/a/livez": {"tcp": {"port": 1, "host": "db"}}})",
       "tcp.host: \"db\" is no IP address"},
      {R"({"/app-probe/a/livez": {"http": {"port": 1, "scheme": "FTP"}}})", "http.scheme: \"FTP\""},
      {R"({"/app-probe/a/livez": {"http": {"port": 1, "path": "/a b"}}})", "http.path"},
      {R"({"/app-probe/a/livez": {"http": {"port": 1,
          "headers": [{"name": "a", "value": "b\r\nc: d"}]}}})",
       "http.headers: \"a\" cannot be sent"},
      {R"({"/app-probe/a/livez": {}})", "neither http, tcp nor grpc"},
      {R"({"/healthz/ready": {"tcp": {"port": 1}}})", "does not begin with /app-probe/"},
      {R"({"/app-probe/a/livez": {"tcp": {"port": 1}, "timeout_seconds": 100000}})",
       "timeout_seconds"},
  };
  for (const auto& c : cases) {
    const absl::StatusOr<AppProbes> probes = ParseAppProbes(c.json);
    ASSERT_FALSE(probes.ok()) << c.json;
    EXPECT_THAT(std::string(probes.status().message()), HasSubstr(c.says)) << c.json;
  }
}

class CheckTest : public ::testing::Test {
 protected:
  // An HTTP/2 connection takes leave of its peer after the answer is there: the reactor runs on
  // until both ends have.
  ~CheckTest() override {
    int turns = 0;
    discovery::RunUntil(reactor_, [&] { return serving_ == 0 && ++turns > 20; });
  }

  admin::Response Ask(const AppProbe& probe) {
    admin::Response answer;
    discovery::RunTask(
        reactor_, [](AppProbe asked, io::Address pod, admin::Response* into) -> io::Task<void> {
          *into = co_await Check(asked, pod);
        }(probe, *io::Address::Parse("127.0.0.1:15021"), &answer));
    return answer;
  }

  static AppProbe Http(uint16_t port, const std::string& path) {
    AppProbe probe;
    probe.mutable_http()->set_port(port);
    probe.mutable_http()->set_path(path);
    return probe;
  }

  // A port at which nobody listens.
  static uint16_t FreePort() {
    return (*io::Listener::Open(*io::Address::Parse("127.0.0.1:0"), false))->local().port();
  }

  io::Reactor reactor_;
  int serving_ = 0;  // health services that run
};

TEST_F(CheckTest, PassesOnWhatTheApplicationSays) {
  auto app = *admin::Server::Open(*io::Address::Parse("127.0.0.1:0"), {});
  app->Get("/ready", "", [](const admin::Request& request) {
    return admin::Response{.body = "fine " + request.query.at("q")};
  });
  app->Get("/broken", "", [](const admin::Request&) {
    return admin::Response{.status = 500, .body = "no database"};
  });
  app->Get("/moved", "",
           [](const admin::Request&) { return admin::Response{.status = 302, .body = {}}; });
  const uint16_t port = app->local().port();
  EXPECT_EQ(Ask(Http(port, "/ready?q=1")).status, 200);
  EXPECT_EQ(Ask(Http(port, "/ready?q=1")).body, "fine 1");
  EXPECT_EQ(Ask(Http(port, "/broken")).status, 500);
  EXPECT_EQ(Ask(Http(port, "/broken")).body, "no database");
  EXPECT_EQ(Ask(Http(port, "/moved")).status, 200);
  EXPECT_EQ(Ask(Http(port, "/nowhere")).status, 404);
}

TEST_F(CheckTest, AnApplicationThatIsNotThereIsUnavailable) {
  const uint16_t port = FreePort();
  AppProbe tcp;
  tcp.mutable_tcp()->set_port(port);
  AppProbe grpc;
  grpc.mutable_grpc()->set_port(port);
  EXPECT_EQ(Ask(Http(port, "/")).status, 503);
  EXPECT_EQ(Ask(tcp).status, 503);
  EXPECT_EQ(Ask(grpc).status, 503);
}

TEST_F(CheckTest, ASilentApplicationTimesOut) {
  auto listener = *io::Listener::Open(*io::Address::Parse("127.0.0.1:0"), false);
  const uint16_t port = listener->local().port();
  AppProbe grpc;
  grpc.mutable_grpc()->set_port(port);
  AppProbe https = Http(port, "/");
  https.mutable_http()->set_scheme("HTTPS");
  EXPECT_EQ(Ask(Http(port, "/")).status, 504);
  EXPECT_EQ(Ask(grpc).status, 504);
  EXPECT_EQ(Ask(https).status, 504);
  AppProbe tcp;
  tcp.mutable_tcp()->set_port(port);
  EXPECT_EQ(Ask(tcp).status, 200);
}

// Serves one connection with gRPC's health service, whose answer's body is `message`.
io::Task<void> ServeHealth(io::Listener* listener, std::string message, std::string* asked,
                           int* serving) {
  ++*serving;
  std::unique_ptr<io::Socket> socket = co_await listener->Accept();
  const auto answer = [](std::unique_ptr<http::ServerExchange> exchange, std::string body,
                         std::string* got) -> io::Task<void> {
    for (;;) {
      const http::Incoming::Piece piece = exchange->Peek();
      if (piece.state == http::Incoming::State::kEnd) break;
      if (piece.state == http::Incoming::State::kWouldBlock) {
        co_await io::Wait(exchange->readable());
        continue;
      }
      if (piece.state == http::Incoming::State::kFailed) co_return;
      got->append(reinterpret_cast<const char*>(piece.data.data()), piece.data.size());
      exchange->Consume(piece.data.size());
    }
    http::ResponseHead head;
    head.status = 200;
    head.has_body = true;
    exchange->Respond(head);
    exchange->Write(io::AsBytes(body));
    http::Headers trailers;
    trailers.Add("grpc-status", "0");
    exchange->End(trailers);
  };
  auto session = http::h2::ServerSession::Create(
      std::move(socket), {}, [&](std::unique_ptr<http::ServerExchange> exchange) {
        io::Spawn(answer(std::move(exchange), message, asked));
      });
  co_await session->Run();
  --*serving;
}

TEST_F(CheckTest, AsksTheGrpcHealthService) {
  const struct {
    std::string message;
    int status;
  } cases[] = {
      {std::string("\0\0\0\0\x02\x08\x01", 7), 200},  // SERVING
      {std::string("\0\0\0\0\x02\x08\x02", 7), 503},  // NOT_SERVING
      {std::string("\0\0\0\0\0", 5), 503},            // UNKNOWN
      {"", 503},
  };
  for (const auto& c : cases) {
    auto listener = *io::Listener::Open(*io::Address::Parse("127.0.0.1:0"), false);
    std::string asked;
    io::Spawn(ServeHealth(listener.get(), c.message, &asked, &serving_));
    AppProbe probe;
    probe.mutable_grpc()->set_port(listener->local().port());
    probe.mutable_grpc()->set_service("tea");
    EXPECT_EQ(Ask(probe).status, c.status);
    EXPECT_EQ(asked, std::string("\0\0\0\0\x05\x0a\x03tea", 10));
    listener->Close();
  }
}

// An HTTPS server of one answer, with a certificate that nobody has reason to trust.
class SelfSignedServer {
 public:
  explicit SelfSignedServer(std::string answer) : answer_(std::move(answer)) {
    const x509::PrivateKey key = *x509::PrivateKey::Generate();
    const x509::Certificate certificate =
        *x509::IssueLeaf(*x509::IssueRoot(key, {}, absl::Now()), key, key.Public(),
                         {.identity = {"elsewhere.test", "shop", "tea"}}, absl::Now());
    context_.reset(SSL_CTX_new(TLS_method()));
    SSL_CTX_use_certificate(context_.get(), certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), key.get());
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const io::Address any = *io::Address::Parse("127.0.0.1:0");
    bind(fd_, any.data(), any.size());
    listen(fd_, 8);
    thread_ = std::thread([this] { Serve(); });
  }
  ~SelfSignedServer() {
    thread_.join();
    close(fd_);
  }

  uint16_t port() const {
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return io::Address::From(reinterpret_cast<sockaddr*>(&address)).port();
  }

 private:
  void Serve() {
    const int connection = accept(fd_, nullptr, nullptr);
    bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), connection);
    char request[4096];
    if (SSL_accept(ssl.get()) == 1 && SSL_read(ssl.get(), request, sizeof request) > 0) {
      SSL_write(ssl.get(), answer_.data(), static_cast<int>(answer_.size()));
      SSL_shutdown(ssl.get());
    }
    close(connection);
  }

  const std::string answer_;
  bssl::UniquePtr<SSL_CTX> context_;
  int fd_ = -1;
  std::thread thread_;
};

TEST_F(CheckTest, TakesAnyCertificateOfTheApplication) {
  SelfSignedServer app("HTTP/1.1 204 No Content\r\n\r\n");
  AppProbe probe = Http(app.port(), "/ready");
  probe.mutable_http()->set_scheme("HTTPS");
  const admin::Response answer = Ask(probe);
  EXPECT_EQ(answer.status, 204) << answer.body;
}

}  // namespace
}  // namespace weft::probe
