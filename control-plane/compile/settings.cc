#include "control-plane/compile/settings.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/options.h"

namespace weft::compile {

weft::v1::MeshSettings CompileSettings(const View& view, FindingSink& findings) {
  weft::v1::MeshSettings settings;
  settings.set_trust_domain(std::string(view.trust_domain()));
  settings.set_mtls_mode(weft::v1::MTLS_MODE_PERMISSIVE);
  settings.set_lb_method(weft::v1::LB_METHOD_LEAST_TIME);
  const k8s::MeshConfig* config = view.MeshConfig();
  if (config == nullptr) return settings;
  const k8s::MeshConfigSpec& spec = config->spec();
  settings.set_deny_unknown_destinations(spec.deny_unknown_destinations());
  if (!spec.mtls_mode().empty()) {
    if (std::optional<weft::v1::MtlsMode> mode = ParseMtlsMode(spec.mtls_mode())) {
      settings.set_mtls_mode(*mode);
    } else {
      findings.Error({.object = "MeshConfig default",
                      .field = "spec.mtlsMode",
                      .reason = "MtlsModeUnknown",
                      .message = absl::StrCat("there is no mTLS mode \"", spec.mtls_mode(),
                                              "\"; permissive is in force"),
                      .remedy = "use \"off\", \"permissive\" or \"strict\""});
    }
  }
  if (!spec.lb_method().empty()) {
    if (std::optional<weft::v1::LbMethod> method = ParseLbMethod(spec.lb_method())) {
      settings.set_lb_method(*method);
    } else {
      findings.Error({.object = "MeshConfig default",
                      .field = "spec.lbMethod",
                      .reason = "LbMethodUnknown",
                      .message = absl::StrCat("there is no load balancing method \"",
                                              spec.lb_method(), "\"; least_time is used"),
                      .remedy = absl::StrCat("use one of ", LbMethodWords())});
    }
  }
  return settings;
}

}  // namespace weft::compile
