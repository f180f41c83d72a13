// HTTPS client of a Kubernetes API server, on libcurl.
#ifndef WEFT_BASE_KUBERNETES_CLIENT_H_
#define WEFT_BASE_KUBERNETES_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/config.h"

namespace weft::kubernetes {

struct Request {
  std::string method = "GET";
  std::string path = {};  // with its query: "/api/v1/pods?limit=500"; escape what is variable
  std::string body = {};
  std::string content_type = {};  // of the body; empty: application/json
  std::string accept = {};        // empty: application/json
  absl::Duration timeout = absl::Seconds(30);
  size_t max_response_bytes = 64 << 20;  // after decompression
};

struct Response {
  int code = 0;
  std::string body;
  std::string content_type;
  // How long the server wants to be left alone (Retry-After, in seconds); zero: it does not say.
  absl::Duration retry_after = absl::ZeroDuration();
};

// A response that goes on and on, in lines: a watch.
struct StreamRequest {
  std::string path;
  // No byte for so long: the stream is given up as dead. Servers can leave a watch open and silent.
  absl::Duration silence = absl::Seconds(90);
  size_t max_line_bytes = 8 << 20;
  // Called once when the server has accepted (2xx), which may be long before the first line.
  std::function<void()> on_open = nullptr;
};

// Makes one string of a URL's part: "a/b" becomes "a%2Fb" (RFC 3986 section 2.1).
std::string EscapeUrl(std::string_view text);

// Thread-safe. Keeps connections for reuse, over HTTP/1.1 and TLS 1.2 or 1.3. Verifies the server
// against the configured authority. A 401 is asked again once with the token read anew.
class Client {
 public:
  // What one transfer needs: a connection or none yet.
  class Transfer;

  // InvalidArgument: the server's address is unusable.
  static absl::StatusOr<std::unique_ptr<Client>> Create(Config config);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // One exchange. OK whenever the server answered, whatever it said (see StatusOf). Unavailable: no
  // connection, or it broke; DeadlineExceeded: no answer in time; ResourceExhausted: the answer is
  // too large; FailedPrecondition: our own credentials cannot be read; Cancelled.
  absl::StatusOr<Response> Call(const Request& request, const Cancellation* cancellation = nullptr);

  // Calls `on_line` for every line of a 2xx response, without its '\n', on the calling thread,
  // until it returns false or the server ends the stream. Both are OK; an answer that is no
  // success comes as a Response with its body. Unavailable: no connection, or it broke amid the
  // stream; DeadlineExceeded: silence; ResourceExhausted: a line is too long; FailedPrecondition;
  // Cancelled.
  absl::StatusOr<Response> Stream(const StreamRequest& request,
                                  const std::function<bool(std::string_view)>& on_line,
                                  const Cancellation& cancellation);

  const Config& config() const { return config_; }

 private:
  explicit Client(Config config);

  std::unique_ptr<Transfer> Take();
  void Return(std::unique_ptr<Transfer> transfer);
  absl::StatusOr<std::string> Token() const;
  std::string CaPem() const;
  // Reads the authority's file again; whether it has changed.
  bool ReloadCa();
  // Runs `attempt`, and once more if new credentials may help.
  absl::StatusOr<Response> WithFreshCredentials(
      const std::function<absl::StatusOr<Response>(Transfer&)>& attempt);

  const Config config_;
  mutable absl::Mutex mutex_;
  std::string ca_pem_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Transfer>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace weft::kubernetes

#endif  // WEFT_BASE_KUBERNETES_CLIENT_H_
