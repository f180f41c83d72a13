#include "control-plane/compile/options.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "control-plane/compile/address.h"

namespace weft::compile {
namespace {

using weft::v1::LbMethod;
using weft::v1::MtlsMode;

constexpr std::string_view kPrefixes[] = {"config.weft.io/", "config.nsm.nginx.com/"};

struct LbMethodWord {
  std::string_view word;
  LbMethod method;
};
constexpr LbMethodWord kLbMethods[] = {
    {"least_time", weft::v1::LB_METHOD_LEAST_TIME},
    {"least_time last_byte", weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE},
    {"least_time last_byte inflight", weft::v1::LB_METHOD_LEAST_TIME_LAST_BYTE_INFLIGHT},
    {"round_robin", weft::v1::LB_METHOD_ROUND_ROBIN},
    {"least_conn", weft::v1::LB_METHOD_LEAST_CONN},
    {"random", weft::v1::LB_METHOD_RANDOM},
    {"random two", weft::v1::LB_METHOD_RANDOM_TWO},
    {"random two least_conn", weft::v1::LB_METHOD_RANDOM_TWO_LEAST_CONN},
    {"random two least_time", weft::v1::LB_METHOD_RANDOM_TWO_LEAST_TIME},
    {"random two least_time=last_byte", weft::v1::LB_METHOD_RANDOM_TWO_LEAST_TIME_LAST_BYTE},
};

constexpr size_t kMaxPortParts = 256;

std::string ModeWord(MtlsMode mode) {
  switch (mode) {
    case weft::v1::MTLS_MODE_OFF:
      return "off";
    case weft::v1::MTLS_MODE_STRICT:
      return "strict";
    default:
      return "permissive";
  }
}

}  // namespace

std::string Annotation::Field() const { return absl::StrCat("metadata.annotations[", key, "]"); }

std::optional<Annotation> FindAnnotation(const k8s::ObjectMeta& meta, std::string_view name) {
  for (std::string_view prefix : kPrefixes) {
    std::string key = absl::StrCat(ToAbsl(prefix), ToAbsl(name));
    auto it = meta.annotations().find(key);
    if (it != meta.annotations().end()) return Annotation{std::move(key), it->second};
  }
  return std::nullopt;
}

std::optional<MtlsMode> ParseMtlsMode(std::string_view text) {
  std::string word = absl::AsciiStrToLower(absl::StripAsciiWhitespace(ToAbsl(text)));
  if (word == "off") return weft::v1::MTLS_MODE_OFF;
  if (word == "permissive") return weft::v1::MTLS_MODE_PERMISSIVE;
  if (word == "strict") return weft::v1::MTLS_MODE_STRICT;
  return std::nullopt;
}

std::optional<LbMethod> ParseLbMethod(std::string_view text) {
  std::string words = absl::StrJoin(
      absl::StrSplit(ToAbsl(text), absl::ByAnyChar(" \t"), absl::SkipWhitespace()), " ");
  for (const LbMethodWord& known : kLbMethods) {
    if (ToAbsl(known.word) == words) return known.method;
  }
  return std::nullopt;
}

std::string LbMethodWords() {
  return absl::StrJoin(kLbMethods, ", ", [](std::string* out, const LbMethodWord& known) {
    absl::StrAppend(out, "\"", ToAbsl(known.word), "\"");
  });
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  absl::string_view digits = absl::StripAsciiWhitespace(ToAbsl(text));
  if (digits.empty()) return std::nullopt;
  int shift = 0;
  switch (absl::ascii_tolower(static_cast<unsigned char>(digits.back()))) {
    case 'k':
      shift = 10;
      break;
    case 'm':
      shift = 20;
      break;
    case 'g':
      shift = 30;
      break;
    default:
      break;
  }
  if (shift != 0) digits.remove_suffix(1);
  uint64_t number = 0;
  if (digits.empty() ||
      !std::ranges::all_of(digits, [](unsigned char c) { return absl::ascii_isdigit(c); }) ||
      !absl::SimpleAtoi(digits, &number)) {
    return std::nullopt;
  }
  if (number > std::numeric_limits<uint64_t>::max() >> shift) return std::nullopt;
  return number << shift;
}

std::optional<PortSet> PortSet::Parse(std::string_view text) {
  PortSet ports;
  for (absl::string_view part : absl::StrSplit(ToAbsl(text), ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (part.empty()) continue;
    std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(part, absl::MaxSplits('-', 1));
    std::optional<uint32_t> first = ParsePort(ToStd(absl::StripAsciiWhitespace(ends.first)));
    std::optional<uint32_t> last = first;
    if (part.find('-') != absl::string_view::npos) {
      last = ParsePort(ToStd(absl::StripAsciiWhitespace(ends.second)));
    }
    if (!first || !last || *first > *last || ports.ranges_.size() == kMaxPortParts) {
      return std::nullopt;
    }
    ports.ranges_.emplace_back(*first, *last);
  }
  return ports;
}

bool PortSet::Contains(uint32_t port) const {
  return std::ranges::any_of(
      ranges_, [port](const auto& range) { return range.first <= port && port <= range.second; });
}

std::vector<uint32_t> PortSet::Ports(size_t limit) const {
  std::vector<uint32_t> ports;
  for (const auto& [first, last] : ranges_) {
    for (uint32_t port = first; port <= last && ports.size() < limit; ++port) ports.push_back(port);
  }
  return ports;
}

LbMethod LbMethodOf(const k8s::ObjectMeta& service, std::string_view object,
                    FindingSink& findings) {
  std::optional<Annotation> annotation = FindAnnotation(service, "lb-method");
  if (!annotation) return weft::v1::LB_METHOD_UNSPECIFIED;
  if (std::optional<LbMethod> method = ParseLbMethod(annotation->value)) return *method;
  findings.Error({.object = std::string(object),
                  .field = annotation->Field(),
                  .reason = "LbMethodUnknown",
                  .message = absl::StrCat("there is no load balancing method \"", annotation->value,
                                          "\"; the mesh's default is used"),
                  .remedy = absl::StrCat("use one of ", LbMethodWords())});
  return weft::v1::LB_METHOD_UNSPECIFIED;
}

PortSet OpaquePortsOf(const k8s::ObjectMeta& pod, std::string_view object, FindingSink& findings) {
  std::optional<Annotation> annotation = FindAnnotation(pod, "opaque-ports");
  if (!annotation) return {};
  std::optional<PortSet> ports = PortSet::Parse(annotation->value);
  if (ports && ports->Ports(kMaxOpaquePorts + 1).size() <= kMaxOpaquePorts) {
    return *std::move(ports);
  }
  findings.Error({.object = std::string(object),
                  .field = annotation->Field(),
                  .reason = "PortsInvalid",
                  .message = ports ? absl::StrCat("there are more than ", kMaxOpaquePorts,
                                                  " ports; none is treated as opaque")
                                   : absl::StrCat("\"", annotation->value,
                                                  "\" is no list of ports; none is treated as "
                                                  "opaque"),
                  .remedy = "write ports and ranges separated by commas: \"3306,9000-9010\""});
  return {};
}

uint64_t ClientMaxBodyBytesOf(const k8s::ObjectMeta& pod, std::string_view object,
                              FindingSink& findings) {
  std::optional<Annotation> annotation = FindAnnotation(pod, "client-max-body-size");
  if (!annotation) return 0;
  if (std::optional<uint64_t> bytes = ParseSize(annotation->value)) return *bytes;
  findings.Error(
      {.object = std::string(object),
       .field = annotation->Field(),
       .reason = "SizeInvalid",
       .message =
           absl::StrCat("\"", annotation->value, "\" is no size; request bodies are not limited"),
       .remedy = "write a number of bytes, or with k, m or g: \"10m\"; \"0\" is no limit"});
  return 0;
}

MtlsMode TightenedMtlsMode(MtlsMode mesh_mode, const k8s::ObjectMeta& pod, std::string_view object,
                           FindingSink& findings) {
  std::optional<Annotation> annotation = FindAnnotation(pod, "mtls-mode");
  if (!annotation) return mesh_mode;
  std::optional<MtlsMode> mode = ParseMtlsMode(annotation->value);
  if (!mode) {
    findings.Error(
        {.object = std::string(object),
         .field = annotation->Field(),
         .reason = "MtlsModeUnknown",
         .message = absl::StrCat("there is no mTLS mode \"", annotation->value,
                                 "\"; the mesh's mode, ", ModeWord(mesh_mode), ", is in force"),
         .remedy = "use \"strict\", \"permissive\" or \"off\""});
    return mesh_mode;
  }
  // The enumeration goes from lax to strict.
  if (*mode < mesh_mode) {
    findings.Error({.object = std::string(object),
                    .field = annotation->Field(),
                    .reason = "MtlsModeNotLoosened",
                    .message = absl::StrCat("the mesh's mTLS mode is ", ModeWord(mesh_mode),
                                            " and a pod may only tighten it; \"", annotation->value,
                                            "\" has no effect"),
                    .remedy = "remove the annotation, or set the mesh's mode in MeshConfig"});
    return mesh_mode;
  }
  return *mode;
}

void CheckIgnoredPorts(const k8s::ObjectMeta& pod, std::string_view object, FindingSink& findings) {
  for (std::string_view name : {"ignore-incoming-ports", "ignore-outgoing-ports"}) {
    std::optional<Annotation> annotation = FindAnnotation(pod, name);
    if (!annotation || PortSet::Parse(annotation->value)) continue;
    findings.Error({.object = std::string(object),
                    .field = annotation->Field(),
                    .reason = "PortsInvalid",
                    .message = absl::StrCat("\"", annotation->value, "\" is no list of ports"),
                    .remedy = "write ports and ranges separated by commas: \"3306,9000-9010\""});
  }
}

}  // namespace weft::compile
