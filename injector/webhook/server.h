// The injector's HTTP servers: the webhook over TLS, and health and metrics in plaintext.
#ifndef WEFT_INJECTOR_WEBHOOK_SERVER_H_
#define WEFT_INJECTOR_WEBHOOK_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "injector/webhook/certificate.h"
#include "injector/webhook/metrics.h"
#include "injector/webhook/review.h"

namespace httplib {
class Server;
}

namespace weft::webhook {

// What the server answers reviews with; called on many threads at once.
using Reviewer = std::function<Answer(const Review&)>;

// One HTTP request to an admission endpoint, without its transport. `status` is that of HTTP: 200
// with an AdmissionReview, or 400, 413, 415 with a line of text.
struct HttpAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};
HttpAnswer AnswerReview(std::string_view content_type, std::string_view body,
                        const Reviewer& reviewer);

// Bounds on what the webhook takes on at a time.
struct WebhookLimits {
  // Connections that are open; each occupies a thread, also while it is idle. An API server keeps
  // up to 25 idle ones, and there may be several API servers.
  size_t connections = 128;
  int reviews = 32;  // being answered
  // How long further ones wait for their turn, before they get 503.
  absl::Duration wait = absl::Seconds(5);
};

// A server that runs on threads of its own for as long as it lives.
class Server {
 public:
  // The certificate for the next handshake; nullptr: none yet, the handshake fails.
  using Certificate = std::function<std::shared_ptr<const ServingCertificate>()>;

  // `listen` is ADDR:PORT, "[::]:8443"; port 0 takes a free one. Where a host has no IPv6, all
  // addresses of IPv4 are meant by [::]. POST /mutate and /validate.
  static absl::StatusOr<std::unique_ptr<Server>> StartWebhook(const std::string& listen,
                                                              Certificate certificate,
                                                              Reviewer mutate, Reviewer validate,
                                                              Metrics& metrics,
                                                              const WebhookLimits& limits = {});

  // GET /metrics, /healthz/live, /healthz/ready: 200, or 503 with what `unready` says is missing.
  static absl::StatusOr<std::unique_ptr<Server>> StartHealth(const std::string& listen,
                                                             std::function<std::string()> unready,
                                                             Metrics& metrics);

  // Requests under way are finished.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const { return port_; }

 private:
  static absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& listen,
                                                       std::unique_ptr<httplib::Server> server,
                                                       const std::function<void()>& widen,
                                                       std::shared_ptr<Certificate> certificate);
  Server(std::unique_ptr<httplib::Server> server, std::shared_ptr<Certificate> certificate,
         int port);

  std::shared_ptr<Certificate> certificate_;  // the TLS context refers to it
  std::unique_ptr<httplib::Server> server_;
  const int port_;
  std::thread thread_;
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_SERVER_H_
