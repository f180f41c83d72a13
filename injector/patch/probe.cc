#include "injector/patch/probe.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace weft::inject {
namespace {

constexpr std::string_view kPathPrefix = "/app-probe/";
constexpr int kDefaultTimeoutSeconds = 1;  // Kubernetes' own

struct ProbeKind {
  const char* field;
  const char* path;
};
constexpr ProbeKind kProbeKinds[] = {
    {"startupProbe", "startupz"}, {"readinessProbe", "readyz"}, {"livenessProbe", "livez"}};

std::optional<int> ValidPort(int64_t port) {
  if (port < 1 || port > 65535) return std::nullopt;
  return static_cast<int>(port);
}

// A port by number, by number in quotes, or by the name of one of the container's ports.
std::optional<int> ResolvePort(const Json* port, const Json& container) {
  if (port == nullptr) return std::nullopt;
  if (port->is_number_integer()) return ValidPort(port->get<int64_t>());
  if (!port->is_string()) return std::nullopt;
  const std::string name = port->get<std::string>();
  int number = 0;
  if (absl::SimpleAtoi(name, &number)) return ValidPort(number);
  for (const Json& declared : ArrayAt(container, "ports")) {
    const Json* value = Find(declared, "containerPort");
    if (StringAt(declared, "name") == name && value != nullptr && value->is_number_integer()) {
      return ValidPort(value->get<int64_t>());
    }
  }
  return std::nullopt;
}

Json HttpTarget(const Json& get, int port) {
  Json target = Json::object();
  const std::string scheme = StringAt(get, "scheme");
  const std::string path = StringAt(get, "path");
  target["scheme"] = scheme.empty() ? "HTTP" : scheme;
  target["port"] = port;
  target["path"] = path.empty() ? "/" : path;
  target["host"] = StringAt(get, "host");
  target["headers"] = Json::array();
  for (const Json& header : ArrayAt(get, "httpHeaders")) {
    Json pair = Json::object();
    pair["name"] = StringAt(header, "name");
    pair["value"] = StringAt(header, "value");
    target["headers"].push_back(std::move(pair));
  }
  return target;
}

Json TcpTarget(const Json& socket, int port) {
  Json target = {{"port", port}};
  if (std::string host = StringAt(socket, "host"); !host.empty()) target["host"] = host;
  return target;
}

Json GrpcTarget(const Json& grpc, int port) {
  Json target = {{"port", port}};
  target["service"] = StringAt(grpc, "service");
  return target;
}

// How a kind of handler is told to the sidecar.
struct Handler {
  const char* field;
  const char* target;
  Json (*describe)(const Json& handler, int port);
};
constexpr Handler kHandlers[] = {
    {"httpGet", "http", HttpTarget}, {"tcpSocket", "tcp", TcpTarget}, {"grpc", "grpc", GrpcTarget}};

// Already one of ours: the path leads to the sidecar.
bool IsRewritten(const Json& probe) {
  const Json* get = Find(probe, "httpGet");
  if (get == nullptr) return false;
  const Json* port = Find(*get, "port");
  return port != nullptr && *port == kHealthPort && StringAt(*get, "path").starts_with(kPathPrefix);
}

// The same probe with the sidecar as its target: all but the handler stays.
Json Redirected(const Json& probe, std::string_view handler, const std::string& path) {
  Json redirected = Json::object();
  Json get = Json::object();
  get["path"] = path;
  get["port"] = kHealthPort;
  get["scheme"] = "HTTP";
  redirected["httpGet"] = std::move(get);
  for (const auto& [key, value] : probe.items()) {
    if (key != handler) redirected[key] = value;
  }
  return redirected;
}

int TimeoutSeconds(const Json& probe) {
  const Json* timeout = Find(probe, "timeoutSeconds");
  if (timeout == nullptr || !timeout->is_number_integer()) return kDefaultTimeoutSeconds;
  return static_cast<int>(std::clamp<int64_t>(timeout->get<int64_t>(), 1, 3600));
}

}  // namespace

Json RewriteProbes(PodPatch& patch, std::vector<std::string>& warnings) {
  Json targets = Json::object();
  std::vector<std::pair<std::string, Json>> replacements;
  const auto look_at = [&](std::string_view list, size_t index, const Json& container) {
    for (const ProbeKind& kind : kProbeKinds) {
      const Json* probe = Find(container, kind.field);
      if (probe == nullptr || IsRewritten(*probe)) continue;
      const std::string name = StringAt(container, "name");
      for (const Handler& handler : kHandlers) {
        const Json* what = Find(*probe, handler.field);
        if (what == nullptr || !what->is_object()) continue;
        const std::optional<int> port = ResolvePort(Find(*what, "port"), container);
        if (!port) {
          warnings.push_back(absl::StrCat("container ", name, ": ", kind.field,
                                          " names no port of the container; it is left as it is"));
          break;
        }
        const std::string path = absl::StrCat(ToAbsl(kPathPrefix), name, "/", kind.path);
        Json& target = targets[path];
        target[handler.target] = handler.describe(*what, *port);
        target["timeout_seconds"] = TimeoutSeconds(*probe);
        replacements.emplace_back(absl::StrCat("/spec/", ToAbsl(list), "/", index, "/", kind.field),
                                  Redirected(*probe, handler.field, path));
        break;
      }
    }
  };
  ForEachContainer(patch.pod(), look_at);
  for (auto& [pointer, probe] : replacements) patch.Replace(pointer, std::move(probe));
  return targets;
}

}  // namespace weft::inject
