#include "sidecar/limits.h"

#include "absl/time/time.h"
#include "base/duration_flag.h"

namespace weft {
namespace {

using Unit = Limit::Unit;

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMs = io::kMillisecond;
constexpr uint64_t kSec = io::kSecond;
constexpr uint64_t kHour = 3600 * kSec;

// On HTTP/2 each field counts 32 bytes more (RFC 9113 section 6.5.2), and the peer's sidecar adds
// fields of its own: what HTTP/1 lets in must get through there.
uint32_t Http2HeaderBytes(uint64_t http1) { return static_cast<uint32_t>(http1 / 3 * 4); }

constexpr Limit kLimits[] = {
    {"--max-connections", Unit::kCount, 1, 1'000'000,
     "Connections of clients, in and out, that are served at one time",
     [](const Flags& f) -> uint64_t { return f.options.max_connections; },
     [](Flags& f, uint64_t v) { f.options.max_connections = v; }},
    {"--max-pending-connects", Unit::kCount, 1, 1'000'000,
     "Connections to endpoints and the application that are being opened at one time, per worker",
     [](const Flags& f) -> uint64_t { return f.options.max_pending_connects; },
     [](Flags& f, uint64_t v) { f.options.max_pending_connects = v; }},
    {"--max-buffered-bytes", Unit::kBytes, 64 * kKiB, kKiB* kKiB* kKiB,
     "Bodies that came in over HTTP/2 and wait for slow readers, per worker",
     [](const Flags& f) -> uint64_t { return f.options.max_buffered_bytes; },
     [](Flags& f, uint64_t v) { f.options.max_buffered_bytes = v; }},
    {"--max-concurrent-streams", Unit::kCount, 1, 100'000,
     "Requests under way on one HTTP/2 connection",
     [](const Flags& f) -> uint64_t { return f.options.h2.max_concurrent_streams; },
     [](Flags& f, uint64_t v) {
       f.options.h2.max_concurrent_streams = static_cast<uint32_t>(v);
       f.options.pools.h2.limits.max_concurrent_streams = static_cast<uint32_t>(v);
     }},
    {"--max-header-bytes", Unit::kBytes, kKiB, kKiB* kKiB,
     "Start line and fields of one message; a third more on HTTP/2, which counts otherwise",
     [](const Flags& f) -> uint64_t { return f.options.h1.max_head_bytes; },
     [](Flags& f, uint64_t v) {
       f.options.h1.max_head_bytes = v;
       f.options.pools.h1.limits.max_head_bytes = v;
       f.options.h2.max_header_bytes = Http2HeaderBytes(v);
       f.options.pools.h2.limits.max_header_bytes = Http2HeaderBytes(v);
     }},
    {"--max-headers", Unit::kCount, 10, 10'000, "Fields of one message",
     [](const Flags& f) -> uint64_t { return f.options.h1.max_fields; },
     [](Flags& f, uint64_t v) {
       f.options.h1.max_fields = v;
       f.options.pools.h1.limits.max_fields = v;
       f.options.h2.max_header_count = static_cast<uint32_t>(v);
       f.options.pools.h2.limits.max_header_count = static_cast<uint32_t>(v);
     }},
    {"--max-url-bytes", Unit::kBytes, 128, kKiB* kKiB, "Target of one request",
     [](const Flags& f) -> uint64_t { return f.options.h1.max_target_bytes; },
     [](Flags& f, uint64_t v) { f.options.h1.max_target_bytes = v; }},
    {"--connect-timeout", Unit::kDuration, 10 * kMs, 600 * kSec,
     "To connect to an endpoint or the application, handshake included",
     [](const Flags& f) -> uint64_t { return f.options.connect_timeout; },
     [](Flags& f, uint64_t v) {
       f.options.connect_timeout = static_cast<io::Nanos>(v);
       f.options.pools.h2.connect_timeout = static_cast<io::Nanos>(v);
     }},
    {"--handshake-timeout", Unit::kDuration, 10 * kMs, 600 * kSec, "For a peer's TLS handshake",
     [](const Flags& f) -> uint64_t { return f.options.handshake_timeout; },
     [](Flags& f, uint64_t v) { f.options.handshake_timeout = static_cast<io::Nanos>(v); }},
    {"--header-timeout", Unit::kDuration, 10 * kMs, 600 * kSec,
     "From the first byte of a request to the end of its fields",
     [](const Flags& f) -> uint64_t { return f.options.client_head; },
     [](Flags& f, uint64_t v) {
       f.options.client_head = static_cast<io::Nanos>(v);
       f.options.h2.head = static_cast<io::Nanos>(v);
     }},
    {"--idle-timeout", Unit::kDuration, 100 * kMs, 24 * kHour,
     "A client's connection without a request",
     [](const Flags& f) -> uint64_t { return f.options.client_idle; },
     [](Flags& f, uint64_t v) {
       f.options.client_idle = static_cast<io::Nanos>(v);
       f.options.h2.idle = static_cast<io::Nanos>(v);
     }},
    {"--stream-idle-timeout", Unit::kDuration, 100 * kMs, 24 * kHour,
     "A request on which nothing moves, in a body or while its response is awaited",
     [](const Flags& f) -> uint64_t { return f.options.stream_idle; },
     [](Flags& f, uint64_t v) { f.options.stream_idle = static_cast<io::Nanos>(v); }},
    {"--tcp-idle-timeout", Unit::kDuration, 100 * kMs, 168 * kHour,
     "An opaque connection or a tunnel on which nothing moves",
     [](const Flags& f) -> uint64_t { return f.options.tcp_idle; },
     [](Flags& f, uint64_t v) { f.options.tcp_idle = static_cast<io::Nanos>(v); }},
    {"--drain-delay", Unit::kDuration, 0, 24 * kHour,
     "After SIGTERM, how long to keep taking new connections while others learn that this pod goes",
     [](const Flags& f) -> uint64_t { return f.drain_delay; },
     [](Flags& f, uint64_t v) { f.drain_delay = static_cast<io::Nanos>(v); }},
    {"--drain-timeout", Unit::kDuration, 0, 24 * kHour,
     "After that, or after --replace by another, how long requests and connections under way may "
     "take to finish",
     [](const Flags& f) -> uint64_t { return f.drain_timeout; },
     [](Flags& f, uint64_t v) { f.drain_timeout = static_cast<io::Nanos>(v); }},
    {"--replace-timeout", Unit::kDuration, kMs, 600 * kSec,
     "With --replace: how long to try to become ready; the one that runs goes on meanwhile",
     [](const Flags& f) -> uint64_t { return f.replace_timeout; },
     [](Flags& f, uint64_t v) { f.replace_timeout = static_cast<io::Nanos>(v); }},
};

absl::Duration AsDuration(uint64_t value) { return absl::Nanoseconds(static_cast<int64_t>(value)); }

}  // namespace

std::span<const Limit> Limits() { return kLimits; }

void AddLimits(CLI::App& app, Flags* flags) {
  for (const Limit& limit : kLimits) {
    const uint64_t standard = limit.get(*flags);
    if (limit.unit == Unit::kDuration) {
      AddDuration(app, limit.flag, AsDuration(standard),
                  {AsDuration(limit.min), AsDuration(limit.max)}, limit.help,
                  [&limit, flags](absl::Duration given) {
                    limit.set(*flags, static_cast<uint64_t>(absl::ToInt64Nanoseconds(given)));
                  });
      continue;
    }
    app.add_option_function<uint64_t>(
           limit.flag, [&limit, flags](uint64_t given) { limit.set(*flags, given); }, limit.help)
        ->type_name(limit.unit == Unit::kBytes ? "BYTES" : "N")
        ->check(CLI::Range(limit.min, limit.max))
        ->default_str(std::to_string(standard));
  }
}

}  // namespace weft
