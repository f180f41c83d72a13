// "meshctl install" and "meshctl uninstall": Helm, with a look at the cluster before and after.
#ifndef WEFT_TOOLS_MESHCTL_INSTALL_H_
#define WEFT_TOOLS_MESHCTL_INSTALL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/meshctl/options.h"

namespace weft::meshctl {

struct Installation {
  std::string chart;  // directory or archive; empty: found beside the program or in its checkout
  std::string release = "weft";
  bool skip_crds = false;
  bool skip_check = false;
  bool force = false;                   // in spite of what speaks against it
  std::vector<std::string> helm_flags;  // handed on as they are
};

// Takes CustomResourceDefinitions of others over, installs or upgrades the release and waits until
// it is ready. Values of an earlier installation stay in force. On the main thread only.
absl::Status Install(const Options& options, const Installation& installation);

// Takes the release away; refuses while pods have sidecars. CustomResourceDefinitions, and with
// them users' objects, stay, and so does the CA.
absl::Status Uninstall(const Options& options, const Installation& installation);

// The chart that came with this program. NotFound says where it was looked for.
absl::StatusOr<std::string> FindChart();

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_INSTALL_H_
