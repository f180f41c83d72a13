#include "injector/webhook/server.h"

#include <httplib.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/webhook/authority_for_test.h"

namespace weft::webhook {
namespace {

using ::testing::HasSubstr;

constexpr char kReview[] =
    R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u1",)"
    R"("kind":{"group":"","version":"v1","kind":"Pod"},"operation":"CREATE","object":{}}})";

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    Renew();
    Start({});
  }

  void Start(const WebhookLimits& limits) {
    server_.reset();
    auto server = Server::StartWebhook(
        "127.0.0.1:0",
        [this] {
          absl::MutexLock lock(&mutex_);
          return serving_;
        },
        [this](const Review& review) { return mutate_(review); },
        [](const Review&) { return Answer{.allowed = false, .message = "spec.service: no"}; },
        metrics_, limits);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  void Renew() {
    KeyPtr key = *GenerateKey();
    const Signed signed_chain = *authority_.Sign(*CreateRequest(key.get()));
    auto serving = *ServingCertificate::Create(std::move(key), signed_chain.chain_pem);
    absl::MutexLock lock(&mutex_);
    serving_ = std::move(serving);
  }

  // A client that trusts the authority's root and nothing else.
  std::unique_ptr<httplib::SSLClient> Client() {
    auto client = std::make_unique<httplib::SSLClient>("localhost", server_->port());
    // In a file: with anything else the library reads the system's hundred roots first.
    static std::atomic<int> number = 0;
    const std::string path = absl::StrCat(::testing::TempDir(), "/server-root-", ++number, ".pem");
    std::ofstream(path) << authority_.Root();
    client->set_ca_cert_path(path);
    client->enable_server_certificate_verification(true);
    client->set_keep_alive(true);
    client->set_connection_timeout(120);
    client->set_read_timeout(120);
    return client;
  }

  AuthorityForTest authority_;
  absl::Mutex mutex_;
  std::shared_ptr<const ServingCertificate> serving_;
  std::function<Answer(const Review&)> mutate_ = [](const Review&) { return Answer(); };
  Metrics metrics_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersReviewsOverTls) {
  const auto client = Client();
  const auto mutated = client->Post("/mutate?timeout=10s", kReview, "application/json");
  ASSERT_TRUE(mutated) << httplib::to_string(mutated.error());
  EXPECT_EQ(mutated->status, 200);
  EXPECT_EQ(mutated->get_header_value("Content-Type"), "application/json");
  EXPECT_THAT(mutated->body, HasSubstr(R"("response":{"uid":"u1","allowed":true})"));
  const auto validated = client->Post("/validate?timeout=10s", kReview, "application/json");
  ASSERT_TRUE(validated);
  EXPECT_THAT(validated->body, HasSubstr("spec.service: no"));
}

TEST_F(ServerTest, WhatIsNoReviewGetsAPlainError) {
  const auto client = Client();
  const struct {
    const char* path;
    std::string body;
    const char* type;
    int status;
  } cases[] = {
      {"/mutate", "{", "application/json", 400},
      {"/validate", "null", "application/json; charset=utf-8", 400},
      {"/mutate", kReview, "text/plain", 415},
      {"/elsewhere", kReview, "application/json", 404},
      {"/mutate", std::string(kMaxReviewBytes + 1, ' '), "application/json", 413},
  };
  for (const auto& test : cases) {
    const auto response = Client()->Post(test.path, test.body, test.type);
    ASSERT_TRUE(response) << test.path << httplib::to_string(response.error());
    EXPECT_EQ(response->status, test.status) << test.path;
  }
  const auto get = client->Get("/mutate");
  ASSERT_TRUE(get);
  EXPECT_EQ(get->status, 404);
}

TEST_F(ServerTest, ANewCertificateHoldsForTheNextHandshake) {
  const auto old = Client();
  ASSERT_TRUE(old->Post("/mutate", kReview, "application/json"));
  authority_.Rotate();
  EXPECT_FALSE(Client()->Post("/mutate", kReview, "application/json")) << "not of the new root";
  Renew();
  EXPECT_TRUE(Client()->Post("/mutate", kReview, "application/json"));
  EXPECT_TRUE(old->Post("/mutate", kReview, "application/json"))
      << "a connection that is open stays so";
}

TEST_F(ServerTest, WithoutACertificateThereIsNoHandshake) {
  {
    absl::MutexLock lock(&mutex_);
    serving_ = nullptr;
  }
  EXPECT_FALSE(Client()->Post("/mutate", kReview, "application/json"));
  Renew();
  EXPECT_TRUE(Client()->Post("/mutate", kReview, "application/json"));
}

TEST_F(ServerTest, AnExceptionIsAnErrorOfOneRequest) {
  mutate_ = [](const Review&) -> Answer { throw std::runtime_error("secret"); };
  const auto response = Client()->Post("/mutate", kReview, "application/json");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(response->body, "internal error\n");
}

TEST_F(ServerTest, WhoFindsNoPlaceInTimeIsToldSo) {
  Start({.connections = 4, .reviews = 1, .wait = absl::ZeroDuration()});
  absl::Notification entered, leave;
  mutate_ = [&](const Review&) {
    entered.Notify();
    leave.WaitForNotification();
    return Answer();
  };
  std::thread first([&] {
    const auto response = Client()->Post("/mutate", kReview, "application/json");
    EXPECT_TRUE(response && response->status == 200);
  });
  entered.WaitForNotification();
  const auto second = Client()->Post("/validate", kReview, "application/json");
  EXPECT_TRUE(second && second->status == 503);
  leave.Notify();
  first.join();
  const auto third = Client()->Post("/validate", kReview, "application/json");
  EXPECT_TRUE(third && third->status == 200);
}

TEST_F(ServerTest, ManyConnectionsAreAnswered) {
  constexpr int kClients = 20;  // more than there are threads
  Start({.connections = 4, .reviews = 2, .wait = absl::Minutes(1)});
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&] {
      const auto client = Client();
      client->set_keep_alive(false);
      const auto response = client->Post("/mutate", kReview, "application/json");
      if (response && response->status == 200) ++answered;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, kClients);
}

TEST(HealthTest, TellsWhatIsMissing) {
  Metrics metrics;
  std::atomic<bool> ready = false;
  const auto server = Server::StartHealth(
      "127.0.0.1:0",
      [&] { return ready ? std::string() : std::string("there is no serving certificate yet"); },
      metrics);
  ASSERT_TRUE(server.ok()) << server.status();
  httplib::Client client("127.0.0.1", (*server)->port());
  EXPECT_EQ(client.Get("/healthz/live")->status, 200);
  const auto unready = client.Get("/healthz/ready");
  EXPECT_EQ(unready->status, 503);
  EXPECT_EQ(unready->body, "there is no serving certificate yet\n");
  ready = true;
  EXPECT_EQ(client.Get("/healthz/ready")->status, 200);
  EXPECT_THAT(client.Get("/metrics")->body, HasSubstr("weft_injector_build_info"));
}

TEST(ListenTest, AnAddressThatCannotBeHadIsNamed) {
  Metrics metrics;
  const auto start = [&](const std::string& listen) {
    return Server::StartHealth(listen, [] { return std::string(); }, metrics);
  };
  EXPECT_THAT(start("nowhere").status().message(), HasSubstr("\"nowhere\" is not ADDR:PORT"));
  EXPECT_THAT(start("127.0.0.1:99999").status().message(), HasSubstr("is not ADDR:PORT"));
  EXPECT_THAT(start("192.0.2.1:0").status().message(), HasSubstr("cannot listen on 192.0.2.1:0"));
  EXPECT_TRUE(start("[::]:0").ok());
}

}  // namespace
}  // namespace weft::webhook
