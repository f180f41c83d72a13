// "meshctl ca": the mesh's certificate authority, and the rotation of its root.
#ifndef WEFT_TOOLS_MESHCTL_CA_H_
#define WEFT_TOOLS_MESHCTL_CA_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tools/meshctl/options.h"
#include "weft/v1/authority.pb.h"

namespace weft::meshctl {

struct CaRotation {
  bool no_wait = false;
};

absl::Status PrintCa(const Options& options);

// Begins a rotation and, unless told not to wait, prints what happens until it is over. A control
// plane that is away meanwhile is waited for.
absl::Status RotateCa(const Options& options, const CaRotation& rotation);

// What is printed as a table.
std::string CaText(const v1::GetAuthorityResponse& authority, absl::Time now);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CA_H_
