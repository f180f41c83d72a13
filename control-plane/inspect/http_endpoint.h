// Port 15014: metrics and health over plain HTTP/1.1 (RFC 9112), for scrapers and probes.
#ifndef WEFT_CONTROL_PLANE_INSPECT_HTTP_ENDPOINT_H_
#define WEFT_CONTROL_PLANE_INSPECT_HTTP_ENDPOINT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"

namespace weft::inspect {

// Answers GET and HEAD, one request per connection, on a thread of its own. Bounded: 64
// connections, 8 KiB of request, five seconds from accept to close.
class HttpEndpoint {
 public:
  struct Answer {
    int code = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body = {};
  };
  // Called on the endpoint's thread. A path without one is 404.
  using Handlers = std::map<std::string, std::function<Answer()>, std::less<>>;

  // Listens on "host:port" or "[ip6]:port" with numeric addresses, port 0 for any free one; all
  // IPv6 interfaces become all IPv4 interfaces on a machine without IPv6.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(std::string_view address,
                                                             Handlers handlers);
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  int port() const { return port_; }

 private:
  HttpEndpoint(int listener, int stop, int port, Handlers handlers);
  void Run();
  // The complete response to a request head.
  std::string Respond(std::string_view head) const;

  const int listener_;
  const int stop_;  // eventfd: readable when the thread is to end
  const int port_;
  const Handlers handlers_;
  std::thread thread_;
};

}  // namespace weft::inspect

#endif  // WEFT_CONTROL_PLANE_INSPECT_HTTP_ENDPOINT_H_
