// Any Destination resource, then any request to it: compiling ends with a destination or
// InvalidArgument, and the destination decides, explains what it decided, and picks no backend that
// must not be picked.
//
// An input is the resource (serialized or in text format), a line "---", and a request in the
// manner of HTTP/1: a line "METHOD TARGET", then lines "Name: value".
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/fuzz/message.h"
#include "sidecar/http/headers.h"
#include "sidecar/route/destination.h"

namespace weft::route {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

// Takes the first line off.
std::string_view NextLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

void DecideOn(const Destination& destination, const RequestView& request) {
  const Rule* rule = destination.Match(request);
  Require(rule != nullptr && rule == &destination.rules()[rule->index]);
  const Explanation explanation = destination.Explain(request);
  Require(explanation.rule == rule);
  Require(explanation.rules.size() == rule->index + 1);
  Require(explanation.match.has_value() == !rule->matches.empty());
  Require(destination.MatchTcp()->matches.empty());

  Random random(1);
  for (const uint64_t number : {uint64_t{0}, ~uint64_t{0}, random()}) {
    const Backend* backend = PickBackend(*rule, number);
    Require((backend == nullptr) == (rule->eligible_weight == 0));
    Require(backend == nullptr || backend->Eligible());
  }
  const auto odd = [](const Backend& b) { return b.endpoints_index % 2 == 1; };
  const Backend* live = PickLiveBackend(*rule, random, odd);
  Require(live == nullptr || (live->Eligible() && odd(*live)));
}

}  // namespace
}  // namespace weft::route

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::route;
  constexpr std::string_view kSeparator = "\n---\n";
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t separator = input.find(kSeparator);
  weft::v1::Destination message;
  if (!weft::ParseFuzzedMessage(std::string(input.substr(0, separator)), &message))
    return -1;  // not for the corpus
  const absl::StatusOr<std::shared_ptr<const Destination>> destination =
      Destination::Compile("10.0.0.1:80", message);
  if (!destination.ok()) {
    Require(destination.status().code() == absl::StatusCode::kInvalidArgument);
    return 0;
  }
  std::string_view rest;
  if (separator != std::string_view::npos) rest = input.substr(separator + kSeparator.size());
  const std::string_view start = NextLine(&rest);
  const size_t space = start.find(' ');
  weft::http::Headers headers;
  while (!rest.empty()) {
    const std::string_view line = NextLine(&rest);
    const size_t colon = line.find(": ");
    if (colon != std::string_view::npos) headers.Add(line.substr(0, colon), line.substr(colon + 2));
  }
  DecideOn(
      **destination,
      {start.substr(0, space),
       space == std::string_view::npos ? std::string_view() : start.substr(space + 1), headers});
  return 0;
}
