// The subcommands that show what there is: version, status, proxies, services, splits, config.
#ifndef WEFT_TOOLS_MESHCTL_LISTS_H_
#define WEFT_TOOLS_MESHCTL_LISTS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/meshctl/options.h"

namespace weft::meshctl {

// `client_only`: does not ask the control plane for its version.
absl::Status PrintVersion(const Options& options, bool client_only);
absl::Status PrintStatus(const Options& options);
absl::Status PrintProxies(const Options& options);
absl::Status PrintServices(const Options& options);
absl::Status PrintSplits(const Options& options);

// What one sidecar was sent. `workload` is "namespace/pod", or "pod" in the namespace of the
// options; `type` limits it to one resource type ("Destination"), empty: all.
absl::Status PrintConfig(const Options& options, const std::string& workload,
                         const std::string& type);

// "namespace/pod" of an argument that may lack the namespace; InvalidArgument, naming `what`, if
// neither has it.
absl::StatusOr<std::string> QualifiedWorkload(const Options& options, const std::string& workload,
                                              const std::string& what);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_LISTS_H_
