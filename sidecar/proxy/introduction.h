// What a sidecar tells the sidecar at the other end of a mesh connection with each request.
#ifndef WEFT_SIDECAR_PROXY_INTRODUCTION_H_
#define WEFT_SIDECAR_PROXY_INTRODUCTION_H_

#include <optional>
#include <string>
#include <string_view>

#include "sidecar/http/field_case.h"
#include "sidecar/http/headers.h"

namespace weft::proxy {

// A field that exists between sidecars only: each end removes what an application may have put
// there. Who the peer is its certificate proves; this adds what a certificate does not say, the
// workload's name (for telemetry) and whether the client speaks HTTP/2. The same for all requests
// of a connection, so HPACK makes one byte of it.
inline constexpr std::string_view kIntroductionHeader = "weft-peer";

// Another such field, in either direction: how the names were spelt (http/field_case.h).
inline constexpr std::string_view kFieldCaseHeader = "weft-case";

// On an error between sidecars: the request provably did not reach the application, so it may be
// sent to another endpoint whatever its method. An application's own is taken away.
inline constexpr std::string_view kUnprocessedHeader = "weft-unprocessed";

struct Introduction {
  std::string_view name_space;
  std::string_view workload;
  bool http2 = false;
};

// "namespace/workload", with ";h2" if the client speaks HTTP/2. The view is into one of the
// arguments.
inline std::string_view Introduce(std::string_view self, bool http2, std::string* scratch) {
  if (!http2) return self;
  scratch->assign(self).append(";h2");
  return *scratch;
}

// Views into `value`; empty where it says nothing.
inline Introduction ParseIntroduction(std::string_view value) {
  Introduction introduction;
  constexpr std::string_view kHttp2 = ";h2";
  if (value.ends_with(kHttp2)) {
    introduction.http2 = true;
    value.remove_suffix(kHttp2.size());
  }
  const size_t slash = value.find('/');
  if (slash == std::string_view::npos) return introduction;
  introduction.name_space = value.substr(0, slash);
  introduction.workload = value.substr(slash + 1);
  return introduction;
}

// For a message in HTTP/1 that is about to travel between two sidecars.
inline void AddFieldCase(http::Headers* headers) {
  static thread_local std::string scratch;
  const std::string_view spelling = http::DescribeFieldCase(*headers, &scratch);
  if (!spelling.empty()) headers->Add(kFieldCaseHeader, spelling);
}

// For a message that has arrived; believed only if it came from a sidecar.
inline void TakeFieldCase(bool from_sidecar, http::Headers* headers) {
  const std::optional<std::string_view> spelling = headers->Get(kFieldCaseHeader);
  if (!spelling) return;
  if (from_sidecar) http::RestoreFieldCase(*spelling, headers);
  headers->Remove(kFieldCaseHeader);
}

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_INTRODUCTION_H_
