// How meshctl prints: tables as kubectl's, protobuf's JSON mapping, and YAML made of that.
#ifndef WEFT_TOOLS_MESHCTL_OUTPUT_H_
#define WEFT_TOOLS_MESHCTL_OUTPUT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"
#include "tools/meshctl/options.h"

namespace weft::meshctl {

// Rows under a header, columns three spaces apart and as wide as their widest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

  // Empty cells are printed as "-".
  void Add(std::vector<std::string> row);
  bool empty() const { return rows_.size() == 1; }
  // `indent` spaces before every line.
  std::string ToString(int indent = 0) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

enum class Colour { kPlain, kRed, kYellow, kGreen, kBold };

// The text in colour if standard output is a terminal that takes it (no NO_COLOR, no TERM=dumb).
std::string Paint(Colour colour, std::string_view text);

// The message in protobuf's JSON mapping with all its fields, indented.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

// The same as YAML, fields in the same order.
absl::StatusOr<std::string> ToYaml(const google::protobuf::Message& message);

// Prints the message as JSON or YAML, as the format says; not for tables.
absl::Status PrintMessage(const google::protobuf::Message& message, Format format);

// "3d4h", "5m10s", "7s": two units at most.
std::string Age(absl::Duration age);
absl::Time ToTime(const google::protobuf::Timestamp& timestamp);
// "HTTP2" of PROTOCOL_HTTP2, "strict" of MTLS_MODE_STRICT.
std::string ProtocolName(int protocol);
std::string MtlsModeName(int mode);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_OUTPUT_H_
