// Requests and destinations for tests, from text.
#ifndef WEFT_SIDECAR_ROUTE_TESTING_H_
#define WEFT_SIDECAR_ROUTE_TESTING_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "sidecar/http/headers.h"
#include "sidecar/route/destination.h"

namespace weft::route {

// A weft.v1.Destination in protobuf's text format.
inline absl::StatusOr<std::shared_ptr<const Destination>> CompileText(std::string_view text) {
  weft::v1::Destination message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(text), &message)) << text;
  return Destination::Compile("10.0.0.1:80", message);
}

inline http::Headers MakeHeaders(const std::vector<std::pair<std::string, std::string>>& fields) {
  http::Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return headers;
}

}  // namespace weft::route

#endif  // WEFT_SIDECAR_ROUTE_TESTING_H_
