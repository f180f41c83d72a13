#include "injector/webhook/server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/strings.h"
#include "injector/webhook/bounded_pool.h"

namespace weft::webhook {
namespace {

constexpr size_t kHealthThreads = 4;
constexpr size_t kQueue = 256;
constexpr int kBacklog = 512;
constexpr time_t kTransferSeconds = 5;  // to say or take the next bytes
constexpr time_t kKeepAliveSeconds = 5;
constexpr size_t kKeepAliveRequests = 10'000;
constexpr size_t kMaxHealthBytes = 4096;
constexpr absl::Duration kStart = absl::Seconds(5);

// The library lets five connections wait to be accepted; a rollout makes the API server open more
// than that at once.
template <typename Base>
class Listening final : public Base {
 public:
  using Base::Base;
  void Widen() { ::listen(this->svr_sock_, kBacklog); }
};

void Bound(httplib::Server& server, size_t threads, size_t max_body) {
  server.new_task_queue = [threads] { return new BoundedPool(threads, kQueue); };
  server.set_payload_max_length(max_body);
  server.set_read_timeout(kTransferSeconds);
  server.set_write_timeout(kTransferSeconds);
  server.set_keep_alive_timeout(kKeepAliveSeconds);
  server.set_keep_alive_max_count(kKeepAliveRequests);
  server.set_tcp_nodelay(true);
  // Without the library's SO_REUSEPORT: a port that is taken is an error.
  server.set_socket_options([](int socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  server.set_exception_handler(
      [](const httplib::Request& request, httplib::Response& response, std::exception_ptr) {
        WEFT_LOG_ERROR("{} {} failed unexpectedly", request.method, request.path);
        response.status = 500;
        response.set_content("internal error\n", "text/plain");
      });
}

// Lets so many in at a time.
class Gate {
 public:
  explicit Gate(int places) : free_(places) {}

  // Whether a place became free in time; the caller leaves it then.
  bool Enter(absl::Duration wait) {
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(this, &Gate::HasPlace), wait)) return false;
    --free_;
    return true;
  }
  void Leave() {
    absl::MutexLock lock(&mutex_);
    ++free_;
  }

 private:
  bool HasPlace() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return free_ > 0; }

  absl::Mutex mutex_;
  int free_ ABSL_GUARDED_BY(mutex_);
};

// Called by OpenSSL in every handshake.
int PresentCertificate(SSL* connection, void* argument) {
  const auto& certificate = *static_cast<Server::Certificate*>(argument);
  const std::shared_ptr<const ServingCertificate> current = certificate();
  return current != nullptr && current->Use(connection) ? 1 : 0;
}

struct HostAndPort {
  std::string host;
  int port = 0;
};

absl::StatusOr<HostAndPort> ParseListen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  HostAndPort parsed;
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &parsed.port) ||
      parsed.port < 0 || parsed.port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", listen, "\" is not ADDR:PORT"));
  }
  parsed.host = listen.substr(0, colon);
  if (parsed.host.starts_with('[') && parsed.host.ends_with(']')) {
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  }
  if (parsed.host.empty()) parsed.host = "0.0.0.0";
  return parsed;
}

// The bound port; 0 if it cannot be had.
int Bind(httplib::Server& server, const HostAndPort& at) {
  if (at.port == 0) return std::max(server.bind_to_any_port(at.host), 0);
  return server.bind_to_port(at.host, at.port) ? at.port : 0;
}

}  // namespace

HttpAnswer AnswerReview(std::string_view content_type, std::string_view body,
                        const Reviewer& reviewer) {
  if (!absl::StartsWithIgnoreCase(ToAbsl(content_type), "application/json")) {
    return {415, "text/plain", "expected Content-Type application/json\n"};
  }
  if (body.size() > kMaxReviewBytes) return {413, "text/plain", "the body is too large\n"};
  const absl::StatusOr<Review> review = ParseReview(body);
  if (!review.ok()) {
    return {400, "text/plain", absl::StrCat(review.status().message(), "\n")};
  }
  return {200, "application/json", RenderAnswer(review->uid, reviewer(*review))};
}

Server::Server(std::unique_ptr<httplib::Server> server, std::shared_ptr<Certificate> certificate,
               int port)
    : certificate_(std::move(certificate)),
      server_(std::move(server)),
      port_(port),
      thread_([this] { server_->listen_after_bind(); }) {}

Server::~Server() {
  server_->stop();
  thread_.join();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& listen,
                                                      std::unique_ptr<httplib::Server> server,
                                                      const std::function<void()>& widen,
                                                      std::shared_ptr<Certificate> certificate) {
  absl::StatusOr<HostAndPort> at = ParseListen(listen);
  if (!at.ok()) return at.status();
  int port = Bind(*server, *at);
  if (port == 0 && at->host == "::") {
    at->host = "0.0.0.0";
    port = Bind(*server, *at);
  }
  if (port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen, ": is the address ours, or the port taken?"));
  }
  widen();
  auto started = absl::WrapUnique(new Server(std::move(server), std::move(certificate), port));
  // stop() is only heard once the loop runs.
  const absl::Time deadline = absl::Now() + kStart;
  while (!started->server_->is_running() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  return started;
}

absl::StatusOr<std::unique_ptr<Server>> Server::StartWebhook(const std::string& listen,
                                                             Certificate certificate,
                                                             Reviewer mutate, Reviewer validate,
                                                             Metrics& metrics,
                                                             const WebhookLimits& limits) {
  auto shared = std::make_shared<Certificate>(std::move(certificate));
  auto server = std::make_unique<Listening<httplib::SSLServer>>([&shared](SSL_CTX& context) {
    SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
    SSL_CTX_set_cert_cb(&context, PresentCertificate, shared.get());
    return true;
  });
  if (!server->is_valid()) return absl::InternalError("no TLS context");
  Bound(*server, limits.connections, kMaxReviewBytes);
  const auto gate = std::make_shared<Gate>(limits.reviews);
  const auto serve = [&](const char* path, Reviewer reviewer) {
    server->Post(path, [path, reviewer = std::move(reviewer), &metrics, gate, wait = limits.wait](
                           const httplib::Request& request, httplib::Response& response) {
      const absl::Time start = absl::Now();
      if (!gate->Enter(wait)) {
        metrics.overloaded.Increment();
        response.status = 503;
        response.set_content("too many reviews at a time\n", "text/plain");
        return;
      }
      metrics.in_flight.Increment();
      const absl::Cleanup leave = [&] {
        metrics.in_flight.Decrement();
        gate->Leave();
      };
      HttpAnswer answer =
          AnswerReview(request.get_header_value("Content-Type"), request.body, reviewer);
      metrics.ObserveReview(path + 1, absl::Now() - start);
      if (answer.status != 200) metrics.Malformed(path + 1).Increment();
      response.status = answer.status;
      response.set_content(std::move(answer.body), answer.content_type);
    });
  };
  serve("/mutate", std::move(mutate));
  serve("/validate", std::move(validate));
  auto* listening = server.get();
  return Start(listen, std::move(server), [listening] { listening->Widen(); }, std::move(shared));
}

absl::StatusOr<std::unique_ptr<Server>> Server::StartHealth(const std::string& listen,
                                                            std::function<std::string()> unready,
                                                            Metrics& metrics) {
  auto server = std::make_unique<Listening<httplib::Server>>();
  Bound(*server, kHealthThreads, kMaxHealthBytes);
  server->Get("/metrics", [&metrics](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics.Text(), "text/plain; version=0.0.4");
  });
  server->Get("/healthz/live", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", "text/plain");
  });
  server->Get("/healthz/ready", [unready = std::move(unready)](const httplib::Request&,
                                                               httplib::Response& response) {
    const std::string missing = unready();
    response.status = missing.empty() ? 200 : 503;
    response.set_content(missing.empty() ? "ok\n" : absl::StrCat(missing, "\n"), "text/plain");
  });
  auto* listening = server.get();
  return Start(listen, std::move(server), [listening] { listening->Widen(); }, nullptr);
}

}  // namespace weft::webhook
