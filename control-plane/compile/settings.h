// The mesh-wide settings (weft.io/v1 MeshConfig "default").
#ifndef WEFT_CONTROL_PLANE_COMPILE_SETTINGS_H_
#define WEFT_CONTROL_PLANE_COMPILE_SETTINGS_H_

#include "control-plane/compile/findings.h"
#include "control-plane/compile/view.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// What is in force: permissive mTLS and least_time balancing unless the MeshConfig says otherwise.
// A word in it that is unknown is a finding and counts as unset.
weft::v1::MeshSettings CompileSettings(const View& view, FindingSink& findings);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_SETTINGS_H_
