#include "sidecar/probe/app_probes.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "google/protobuf/util/json_util.h"
#include "sidecar/io/address.h"
#include "sidecar/probe/check.h"

namespace weft::probe {
namespace {

constexpr size_t kMaxProbes = 256;
constexpr uint32_t kMaxTimeoutSeconds = 3600;

bool IsVisible(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return false;
  }
  return true;
}

// What is wrong with it; empty if nothing is.
std::string Mistake(const AppProbe& probe) {
  const auto port = [](uint32_t number, const char* field) {
    return number == 0 || number > 65535 ? absl::StrCat(field, ".port: ", number, " is no port")
                                         : std::string();
  };
  const auto host = [](const std::string& ip, const char* field) {
    return ip.empty() || io::Address::FromIp(ip, 1).ok()
               ? std::string()
               : absl::StrCat(field, ".host: \"", ip, "\" is no IP address");
  };
  if (probe.timeout_seconds() > kMaxTimeoutSeconds) {
    return absl::StrCat("timeout_seconds: ", probe.timeout_seconds(), " is more than ",
                        kMaxTimeoutSeconds);
  }
  switch (probe.action_case()) {
    case AppProbe::kHttp: {
      const HttpGet& http = probe.http();
      if (!http.scheme().empty() && http.scheme() != "HTTP" && http.scheme() != "HTTPS") {
        return absl::StrCat("http.scheme: \"", http.scheme(), "\" is neither HTTP nor HTTPS");
      }
      if (!IsVisible(http.path())) return "http.path: has spaces or control characters";
      for (const HttpGet::Header& header : http.headers()) {
        if (header.name().empty() || !IsVisible(header.name()) ||
            header.value().find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
          return absl::StrCat("http.headers: \"", header.name(), "\" cannot be sent");
        }
      }
      const std::string wrong = port(http.port(), "http");
      return wrong.empty() ? host(http.host(), "http") : wrong;
    }
    case AppProbe::kTcp: {
      const std::string wrong = port(probe.tcp().port(), "tcp");
      return wrong.empty() ? host(probe.tcp().host(), "tcp") : wrong;
    }
    case AppProbe::kGrpc:
      return port(probe.grpc().port(), "grpc");
    case AppProbe::ACTION_NOT_SET:
      return "is neither http, tcp nor grpc";
  }
  return "";
}

}  // namespace

absl::StatusOr<AppProbes> ParseAppProbes(std::string_view json) {
  AppProbes probes;
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      absl::StrCat("{\"probes\":", ToAbsl(json), "}"), &probes);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kAppProbesVariable, ": ", parsed.message().ToString()));
  }
  if (probes.probes_size() > static_cast<int>(kMaxProbes)) {
    return absl::InvalidArgumentError(absl::StrCat(kAppProbesVariable, ": ", probes.probes_size(),
                                                   " probes are more than ", kMaxProbes));
  }
  for (const auto& [path, probe] : probes.probes()) {
    std::string mistake = Mistake(probe);
    if (!path.starts_with(kPathPrefix) || !IsVisible(path)) {
      mistake = absl::StrCat("does not begin with ", ToAbsl(kPathPrefix));
    }
    if (!mistake.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(kAppProbesVariable, ": ", path, ": ", mistake));
    }
  }
  return probes;
}

void AddProbePages(admin::Server& server, const AppProbes& probes) {
  for (const auto& [path, probe] : probes.probes()) {
    server.Get(path, "asks the application", [asked = probe](const admin::Request& request) {
      return Check(asked, request.local);
    });
  }
}

}  // namespace weft::probe
