// Cuts an object of the API down to what the mesh reads, before it is parsed.
#ifndef WEFT_CONTROL_PLANE_SOURCE_PRUNE_H_
#define WEFT_CONTROL_PLANE_SOURCE_PRUNE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "control-plane/store/object.h"

namespace weft::source {

// The object's JSON without the fields that the kind's message does not have: a pod shrinks to a
// tenth. Of `metadata.annotations` neither the copy that kubectl apply keeps nor values above 4 KiB
// remain. Of the kinds that users write for the mesh only `metadata` and `status` are cut, so that
// a misspelt field of theirs can still be told. `apiVersion` and `kind` are left out.
// InvalidArgument: this is no JSON object.
absl::StatusOr<std::string> PruneObject(std::string_view json, store::Kind kind);

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_PRUNE_H_
