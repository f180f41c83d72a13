// `meshctl inject`: sidecars into manifests, without a cluster.
#ifndef WEFT_TOOLS_MESHCTL_INJECT_H_
#define WEFT_TOOLS_MESHCTL_INJECT_H_

#include <string>

#include "absl/status/status.h"
#include "tools/meshctl/options.h"

namespace weft::meshctl {

struct InjectRequest {
  std::string file;           // "-": standard input
  std::string settings_file;  // as the injector reads it; empty: the defaults
};

// Prints the file with sidecars in its workloads to standard output, and what became of each
// workload to standard error. An object that must be refused is an error that names it and its
// field, and then nothing is printed to standard output: what is piped on would be half of it.
absl::Status InjectFile(const Options& options, const InjectRequest& request);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_INJECT_H_
