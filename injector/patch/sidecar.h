// What is put into a pod: the init container that redirects its traffic, the sidecar, and the
// volume from which the sidecar proves who it is.
#ifndef WEFT_INJECTOR_PATCH_SIDECAR_H_
#define WEFT_INJECTOR_PATCH_SIDECAR_H_

#include "absl/time/time.h"
#include "injector/patch/json.h"
#include "injector/patch/settings.h"

namespace weft::inject {

// What differs from pod to pod beside the settings.
struct SidecarOptions {
  bool native = true;  // an init container that restarts always; else an ordinary container
  Json app_probes = Json::object();  // as RewriteProbes returns them
  // From SIGTERM to SIGKILL; null: Kubernetes' default of 30 s.
  absl::Duration grace = absl::Seconds(30);
  // Ports of the sidecar's that an application declares too are left out.
  bool declare_metrics_port = true;
  bool declare_health_port = true;
};

// How the sidecar ends within the pod's grace period, some of which is left for the kubelet itself.
struct Drain {
  absl::Duration delay;    // new connections are still taken
  absl::Duration timeout;  // then, requests under way may finish
};
// A native sidecar is told to stop when the application has ended, so nothing new can come: no
// delay. An ordinary one is told at the same moment as the application, while others still think
// that the pod is there. If both do not fit into the grace period they are cut.
Drain DrainWithin(absl::Duration grace, bool native, const Settings& settings);

// weft-init: runs as root with NET_ADMIN and NET_RAW, and nothing else.
Json InitContainer(const Settings& settings);

// weft-sidecar: runs as its own user without any capability.
Json SidecarContainer(const Settings& settings, const SidecarOptions& options);

// The token and the mesh's roots, at /var/run/weft.
Json IdentityVolume();

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_SIDECAR_H_
