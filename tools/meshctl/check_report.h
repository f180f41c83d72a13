// What "meshctl check" found.
#ifndef WEFT_TOOLS_MESHCTL_CHECK_REPORT_H_
#define WEFT_TOOLS_MESHCTL_CHECK_REPORT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tools/meshctl/answers.pb.h"
#include "tools/meshctl/options.h"

namespace weft::meshctl {

// Results in the order in which they were found.
class CheckReport {
 public:
  void Ok(std::string_view check, std::string_view detail);
  // `remedy` says what to do.
  void Warning(std::string_view check, std::string_view detail, std::string_view remedy);
  void Failure(std::string_view check, std::string_view detail, std::string_view remedy);

  // What could not be found out: a missing right is a warning, everything else a failure.
  void Unknown(std::string_view check, const absl::Status& status);

  const CheckResults& results() const { return results_; }
  int failures() const { return failures_; }

  // A table and the remedies, or the message as JSON or YAML.
  absl::Status Print(Format format) const;

  // OK, or FailedPrecondition with the number of failures.
  absl::Status Verdict() const;

 private:
  void Add(CheckResults::Status status, std::string_view check, std::string_view detail,
           std::string_view remedy);

  CheckResults results_;
  int failures_ = 0;
};

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CHECK_REPORT_H_
