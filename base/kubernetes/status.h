// What an API server says when it refuses: meta/v1 Status.
#ifndef WEFT_BASE_KUBERNETES_STATUS_H_
#define WEFT_BASE_KUBERNETES_STATUS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/kubernetes/client.h"

namespace weft::kubernetes {

// The body of a refusal, as far as it could be read: servers also answer with plain text.
struct Refusal {
  int code = 0;
  std::string reason;   // "AlreadyExists"
  std::string message;  // at most 1 KiB
  // How long the server wants to be left alone; zero: it does not say.
  absl::Duration retry_after = absl::ZeroDuration();
  // Where an expired list may go on, without being one consistent view.
  std::string continue_token;
};

// Reads a Status object, such as that of a watch's ERROR event; `code` serves if the body does not
// say.
Refusal ParseRefusal(std::string_view body, int code);

// OK for 2xx. Otherwise the message names verb, resource and the server's words, and the code is:
// 400, 415, 422 InvalidArgument; 401 Unauthenticated; 403 PermissionDenied; 404 NotFound; 409
// Aborted, or AlreadyExists; 410 OutOfRange; 413 ResourceExhausted; 429 and 5xx Unavailable; others
// Unknown.
absl::Status StatusOf(const Refusal& refusal, std::string_view verb, std::string_view resource);
absl::Status StatusOf(const Response& response, std::string_view verb, std::string_view resource);

}  // namespace weft::kubernetes

#endif  // WEFT_BASE_KUBERNETES_STATUS_H_
