#include "tools/meshctl/findings.h"

#include "absl/strings/str_cat.h"
#include "tools/meshctl/output.h"

namespace weft::meshctl {

std::string FindingsText(const google::protobuf::RepeatedPtrField<v1::Finding>& findings,
                         int indent) {
  const std::string margin(static_cast<size_t>(indent), ' ');
  std::string text;
  for (const v1::Finding& finding : findings) {
    const bool is_error = finding.severity() == v1::Finding::ERROR;
    absl::StrAppend(&text, margin,
                    is_error ? Paint(Colour::kRed, "ERROR") : Paint(Colour::kYellow, "WARNING"),
                    "  ", finding.object(), finding.field().empty() ? "" : "  ", finding.field(),
                    finding.reason().empty() ? "" : "  ", finding.reason(), "\n", margin, "  ",
                    finding.message(), "\n");
    if (!finding.remedy().empty()) absl::StrAppend(&text, margin, "  -> ", finding.remedy(), "\n");
  }
  return text;
}

}  // namespace weft::meshctl
