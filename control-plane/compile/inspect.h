// The answers to what operators ask about services, splits and routes.
#ifndef WEFT_CONTROL_PLANE_COMPILE_INSPECT_H_
#define WEFT_CONTROL_PLANE_COMPILE_INSPECT_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "control-plane/compile/index.h"
#include "control-plane/compile/view.h"
#include "weft/v1/inspect.pb.h"

namespace weft::compile {

// As Compiler says.
weft::v1::ListServicesResponse ListServices(const Index& index, const View& view,
                                            std::string_view name_space);
weft::v1::ListSplitsResponse ListSplits(const Index& index, const View& view,
                                        std::string_view name_space);
absl::StatusOr<weft::v1::ResolveRouteResponse> ResolveRoute(
    const View& view, const weft::v1::ResolveRouteRequest& request);

// The ready endpoints of all services; of each, those of the port that has the most.
uint32_t CountEndpoints(const Index& index, const View& view);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_INSPECT_H_
