// Where a dialled address leads.
#ifndef WEFT_CONTROL_PLANE_COMPILE_DESTINATION_H_
#define WEFT_CONTROL_PLANE_COMPILE_DESTINATION_H_

#include <optional>
#include <string_view>

#include "control-plane/compile/view.h"
#include "weft/v1/discovery.pb.h"

namespace weft::compile {

// The Destination resource "ip:port": of the service whose cluster IP it is, else of the pod.
// nullopt if the address is neither's, the service has no such port, or the name is malformed: then
// it passes through.
std::optional<weft::v1::Destination> CompileDestination(const View& view, std::string_view name);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_DESTINATION_H_
