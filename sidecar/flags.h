// The sidecar's command line.
#ifndef WEFT_SIDECAR_FLAGS_H_
#define WEFT_SIDECAR_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "sidecar/io/timer.h"
#include "sidecar/proxy/options.h"

namespace weft {

struct Flags {
  std::string workload;
  std::string control_plane;
  std::string trust_bundle_file;
  std::string join_token_file;
  std::string trust_domain = "cluster.local";
  unsigned workers = 0;
  uint16_t outbound_port = 15001;
  uint16_t inbound_port = 15006;
  std::string admin_listen = "127.0.0.1:15000";
  std::string metrics_listen = "*:15020";  // "*": every address, of both families where there are
  std::string health_listen = "*:15021";
  proxy::Options options;
  io::Nanos drain_delay = 0;
  io::Nanos drain_timeout = 30 * io::kSecond;
  bool replace = false;
  io::Nanos replace_timeout = 60 * io::kSecond;
  std::string log_level = "info";
  io::Nanos await_ready = 0;  // not 0: only wait for the sidecar that runs in this pod
};

// Parses the command line. If the program must end here (--help, --version, a mistake, which has
// been printed to standard error), returns its exit code.
std::optional<int> ParseFlags(int argc, char** argv, Flags* flags);

}  // namespace weft

#endif  // WEFT_SIDECAR_FLAGS_H_
