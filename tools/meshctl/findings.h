// Findings, as several subcommands show them.
#ifndef WEFT_TOOLS_MESHCTL_FINDINGS_H_
#define WEFT_TOOLS_MESHCTL_FINDINGS_H_

#include <string>

#include "google/protobuf/repeated_ptr_field.h"
#include "weft/v1/inspect.pb.h"

namespace weft::meshctl {

// A few lines each: severity, object and field, message, remedy. Empty if there are none.
std::string FindingsText(const google::protobuf::RepeatedPtrField<v1::Finding>& findings,
                         int indent);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_FINDINGS_H_
