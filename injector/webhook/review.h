// AdmissionReview (admission.k8s.io/v1): the question of an API server, and our answer.
#ifndef WEFT_INJECTOR_WEBHOOK_REVIEW_H_
#define WEFT_INJECTOR_WEBHOOK_REVIEW_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "injector/patch/json.h"

namespace weft::webhook {

using inject::Json;

// The largest body that is read. The API server stores objects of about 1.5 MiB; a review of an
// update has two of them.
inline constexpr size_t kMaxReviewBytes = 4 << 20;

struct Review {
  std::string uid;
  std::string group, version, kind;  // of the object; the core group is empty
  std::string sub_resource;
  std::string name;  // empty for an object that the API server names later (generateName)
  std::string name_space;
  std::string operation;  // CREATE, UPDATE, DELETE, CONNECT
  bool dry_run = false;
  Json object;      // null for DELETE
  Json old_object;  // null for CREATE

  // "Pod shop/web", or by its generateName, "Pod shop/web-*".
  std::string Subject() const;
};

// InvalidArgument: the body is no AdmissionReview of version v1 with a request.
absl::StatusOr<Review> ParseReview(std::string_view body);

struct Answer {
  bool allowed = true;
  std::string message = {};  // why not
  std::vector<std::string> warnings = {};
  Json patch = nullptr;  // a JSON Patch; null or empty: none
};

// The AdmissionReview that answers the one with this uid. Warnings are cut to what the API server
// passes on: 256 characters each, 4096 in all.
std::string RenderAnswer(std::string_view uid, const Answer& answer);

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_REVIEW_H_
