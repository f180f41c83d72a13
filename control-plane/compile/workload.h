// What a sidecar is told about the pod it stands in.
#ifndef WEFT_CONTROL_PLANE_COMPILE_WORKLOAD_H_
#define WEFT_CONTROL_PLANE_COMPILE_WORKLOAD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "control-plane/compile/findings.h"
#include "control-plane/compile/view.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// The Workload resource "namespace/pod"; nullopt if there is no such pod.
std::optional<weft::v1::Workload> CompileWorkload(const View& view, std::string_view name);

// The pod's declared ports by number: those of its containers (the sidecar's own left out), those
// that services lead to, and those annotated as opaque. Where services disagree about a port's
// protocol, it is detected and a finding. Mistakes in the pod's annotations are findings.
std::map<uint32_t, weft::v1::InboundPort> InboundPortsOf(const View& view, const k8s::Pod& pod,
                                                         FindingSink& findings);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_WORKLOAD_H_
