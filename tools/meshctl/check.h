// "meshctl check": whether a cluster can have the mesh, and whether the mesh in it is well.
#ifndef WEFT_TOOLS_MESHCTL_CHECK_H_
#define WEFT_TOOLS_MESHCTL_CHECK_H_

#include "absl/status/status.h"
#include "tools/meshctl/check_report.h"
#include "tools/meshctl/cluster.h"
#include "tools/meshctl/options.h"

namespace weft::meshctl {

// What an installation needs: kubectl, the API server's version, rights, CustomResourceDefinitions,
// clocks, no other mesh. `before` the installation, what the chart brings may be missing.
void CheckCluster(const Cluster& cluster, bool before, CheckReport& report);

// The installed parts: replicas and versions, webhooks, certificates, sidecars. On the main thread
// only.
void CheckMesh(const Cluster& cluster, const Options& options, CheckReport& report);

// All of it, printed. FailedPrecondition if something fails; warnings do not.
absl::Status RunCheck(const Options& options, bool before);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CHECK_H_
