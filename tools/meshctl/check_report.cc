#include "tools/meshctl/check_report.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "tools/meshctl/output.h"

namespace weft::meshctl {
namespace {

std::string StatusText(CheckResults::Status status) {
  switch (status) {
    case CheckResults::OK:
      return Paint(Colour::kGreen, "ok");
    case CheckResults::WARNING:
      return Paint(Colour::kYellow, "warning");
    default:
      return Paint(Colour::kRed, "failure");
  }
}

}  // namespace

void CheckReport::Ok(std::string_view check, std::string_view detail) {
  Add(CheckResults::OK, check, detail, "");
}

void CheckReport::Warning(std::string_view check, std::string_view detail,
                          std::string_view remedy) {
  Add(CheckResults::WARNING, check, detail, remedy);
}

void CheckReport::Failure(std::string_view check, std::string_view detail,
                          std::string_view remedy) {
  Add(CheckResults::FAILURE, check, detail, remedy);
}

void CheckReport::Unknown(std::string_view check, const absl::Status& status) {
  const std::string detail(status.message());
  if (absl::IsPermissionDenied(status)) {
    Warning(check, detail, "ask somebody who has this right");
  } else if (absl::IsFailedPrecondition(status)) {
    Failure(check, detail, "meshctl check --context NAME");
  } else if (absl::IsUnauthenticated(status)) {
    Failure(check, detail, "log in to the cluster again");
  } else {
    Failure(check, detail, "see whether the cluster is well: kubectl get --raw /readyz?verbose");
  }
}

void CheckReport::Add(CheckResults::Status status, std::string_view check, std::string_view detail,
                      std::string_view remedy) {
  CheckResults::Result& result = *results_.add_results();
  result.set_check(std::string(check));
  result.set_status(status);
  result.set_detail(std::string(detail));
  result.set_remedy(std::string(remedy));
  failures_ += status == CheckResults::FAILURE ? 1 : 0;
}

absl::Status CheckReport::Print(Format format) const {
  if (format != Format::kTable) return PrintMessage(results_, format);
  Table table({"CHECK", "STATUS", "DETAIL"});
  std::string remedies;
  for (const CheckResults::Result& result : results_.results()) {
    table.Add({result.check(), StatusText(result.status()), result.detail()});
    if (result.remedy().empty()) continue;
    absl::StrAppend(&remedies, Paint(Colour::kBold, result.check()), ": ", result.remedy(), "\n");
  }
  std::cout << table.ToString();
  if (!remedies.empty()) std::cout << "\nWhat to do:\n" << remedies;
  return absl::OkStatus();
}

absl::Status CheckReport::Verdict() const {
  if (failures_ == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(failures_, " of ", results_.results_size(),
                   failures_ == 1 ? " checks fails" : " checks fail"));
}

}  // namespace weft::meshctl
