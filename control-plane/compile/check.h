// Looks for the mistakes in all objects.
#ifndef WEFT_CONTROL_PLANE_COMPILE_CHECK_H_
#define WEFT_CONTROL_PLANE_COMPILE_CHECK_H_

#include <string_view>

#include "control-plane/compile/findings.h"
#include "control-plane/compile/index.h"
#include "control-plane/compile/view.h"
#include "k8s/smi.pb.h"

namespace weft::compile {

// One split: whether it is understood and in force, whether its services exist and have the ports,
// whether its weights and its selectors can mean what they say. Its route groups are not looked
// into.
void CheckSplit(const View& view, const k8s::TrafficSplit& split, FindingSink& findings);

// Everything in the index.
void CheckMesh(const Index& index, const View& view, FindingSink& findings);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_CHECK_H_
