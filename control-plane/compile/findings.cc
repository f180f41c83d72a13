#include "control-plane/compile/findings.h"

#include <utility>

namespace weft::compile {

void FindingSink::Error(Mistake mistake) { Add(weft::v1::Finding::ERROR, std::move(mistake)); }

void FindingSink::Warning(Mistake mistake) { Add(weft::v1::Finding::WARNING, std::move(mistake)); }

void FindingSink::Add(weft::v1::Finding::Severity severity, Mistake mistake) {
  weft::v1::Finding& finding = findings_.emplace_back();
  finding.set_severity(severity);
  finding.set_object(std::move(mistake.object));
  finding.set_field(std::move(mistake.field));
  finding.set_reason(std::string(mistake.reason));
  finding.set_message(std::move(mistake.message));
  finding.set_remedy(std::move(mistake.remedy));
}

}  // namespace weft::compile
