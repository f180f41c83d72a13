#include "sidecar/proxy/violations.h"

#include "absl/time/clock.h"
#include "base/log.h"

namespace weft::proxy {

void RecordViolation(Worker& worker, std::string_view direction, std::string_view code,
                     std::string_view why) {
  worker.metrics
      ->Counter("weft_http2_violations_total",
                "HTTP/2 connections of clients that were ended, by what the client was told.",
                {{"direction", direction}, {"code", code}})
      ->Add();
  if (const auto left_out = worker.stranger_lines.Take(absl::Now())) {
    WEFT_LOG_INFO("{} HTTP/2 connection ended with {}: {}{}", direction, code, why, *left_out);
  }
}

}  // namespace weft::proxy
