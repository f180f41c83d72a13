// The rotation of the mesh's root as a state machine: which step may be taken, and what the next
// one waits for. No certificate and no connection is refused at any time of it:
//
//   announced  the new root goes out as trusted; the old one signs
//   confirmed  every replica has it; it goes out once more, to all sidecars
//   signing    every sidecar has acknowledged it: the new root signs, the old one is trusted
//   stable     what the old root signed has expired: the old root is retired
#ifndef WEFT_CONTROL_PLANE_CA_ROTATION_H_
#define WEFT_CONTROL_PLANE_CA_ROTATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "control-plane/ca/root_document.h"

namespace weft::ca {

// What one replica says of itself.
struct ReplicaReport {
  std::string name;
  uint64_t generation = 0;    // of the document that it has installed
  uint32_t sidecars = 0;      // connected to it
  uint32_t acknowledged = 0;  // of those, how many have acknowledged that generation's bundle
  // Some of the others, "namespace/pod", at most kMaxNamed.
  std::vector<std::string> waiting = {};
  absl::Duration leaf_lifetime = absl::ZeroDuration();  // of the certificates that it signs
  absl::Time reported = absl::InfinitePast();
};

inline constexpr size_t kMaxNamed = 5;

struct RotationOptions {
  // How long each step lasts at least: files are read again and streams come back meanwhile.
  absl::Duration settle = absl::Seconds(15);
  // A report older than that says nothing about now.
  absl::Duration report_lifetime = absl::Seconds(20);
};

// Begins a rotation: makes a new root and announces it. FailedPrecondition if one is under way.
absl::Status BeginRotation(RootDocument& document, std::string_view trust_domain, absl::Time now);

struct RotationStep {
  // The document after the step that can be taken now; its generation is the writer's to raise.
  std::optional<RootDocument> next;
  // What the step after that waits for, in words; empty: nothing is under way.
  std::vector<std::string> waits;
  // Before this moment it is not taken in any case.
  absl::Time earliest = absl::InfinitePast();
};

// What to do with the document, in view of the reports of all replicas there are.
RotationStep NextStep(const RootDocument& document, const std::vector<ReplicaReport>& replicas,
                      const RotationOptions& options, absl::Time now);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_ROTATION_H_
