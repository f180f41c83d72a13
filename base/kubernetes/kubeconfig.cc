// Kubeconfig files: v1 Config with clusters, users and contexts.
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/kubernetes/config.h"
#include "base/kubernetes/file.h"
#include "base/strings.h"
#include "yaml-cpp/yaml.h"

namespace weft::kubernetes {
namespace {

// One entry of the file's lists, for errors that name file, entry and field.
class Entry {
 public:
  Entry(std::string path, std::string name, YAML::Node node)
      : path_(std::move(path)), name_(std::move(name)), node_(std::move(node)) {}

  bool Has(const char* field) const {
    return node_.IsMap() && node_[field].IsDefined() && !node_[field].IsNull();
  }

  // Empty if the field is absent or no scalar.
  std::string Text(const char* field) const {
    return Has(field) && node_[field].IsScalar() ? node_[field].Scalar() : "";
  }

  bool True(const char* field) const { return absl::AsciiStrToLower(Text(field)) == "true"; }

  // `field`-data in base64, or else the file that `field` names; empty if neither is there.
  absl::StatusOr<std::string> Data(const std::string& field) const {
    const std::string data_field = absl::StrCat(field, "-data");
    if (const std::string base64 = Text(data_field.c_str()); !base64.empty()) {
      std::string bytes;
      if (!absl::Base64Unescape(base64, &bytes)) return Error(data_field, "is not base64");
      return bytes;
    }
    if (const std::string file = File(field.c_str()); !file.empty()) {
      absl::StatusOr<std::string> bytes = ReadCredentialFile(file);
      if (!bytes.ok()) return Error(field, std::string(bytes.status().message()));
      return bytes;
    }
    return "";
  }

  // A path in the file, made absolute; empty if absent.
  std::string File(const char* field) const {
    const std::string file = Text(field);
    if (file.empty()) return "";
    return (std::filesystem::path(path_).parent_path() / file).string();
  }

  absl::Status Error(std::string_view field, std::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", name_, field.empty() ? "" : ": ",
                                                   ToAbsl(field), " ", ToAbsl(message)));
  }

 private:
  const std::string path_;
  const std::string name_;
  const YAML::Node node_;
};

// The entry `name` of `list`, whose content stands under `key`.
absl::StatusOr<Entry> Find(const std::string& path, const YAML::Node& root, const char* list,
                           const char* key, const std::string& name) {
  if (root[list].IsSequence()) {
    for (const YAML::Node& item : root[list]) {
      if (item.IsMap() && item["name"].IsScalar() && item["name"].Scalar() == name &&
          item[key].IsMap()) {
        return Entry(path, absl::StrCat(key, " \"", name, "\""), item[key]);
      }
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": there is no ", key, " \"", name, "\" under ", list));
}

bool IsLoopback(std::string_view server) {
  for (const char* host : {"http://127.0.0.1", "http://localhost", "http://[::1]"}) {
    if (!server.starts_with(host)) continue;
    const std::string_view rest = server.substr(std::string_view(host).size());
    if (rest.empty() || rest.front() == ':' || rest.front() == '/') return true;
  }
  return false;
}

absl::Status ReadCluster(const Entry& cluster, Config& config) {
  config.server = cluster.Text("server");
  while (config.server.ends_with('/')) config.server.pop_back();
  if (!config.server.starts_with("https://") && !IsLoopback(config.server)) {
    return cluster.Error("server", "must be an https:// address");
  }
  if (cluster.True("insecure-skip-tls-verify")) {
    return cluster.Error("insecure-skip-tls-verify",
                         "is refused: name the server's authority in certificate-authority-data");
  }
  absl::StatusOr<std::string> ca = cluster.Data("certificate-authority");
  if (!ca.ok()) return ca.status();
  config.ca_pem = *std::move(ca);
  if (!cluster.Has("certificate-authority-data")) {
    config.ca_file = cluster.File("certificate-authority");
  }
  config.tls_server_name = cluster.Text("tls-server-name");
  config.proxy = cluster.Text("proxy-url");
  return absl::OkStatus();
}

absl::Status ReadUser(const Entry& user, Config& config) {
  for (const char* program : {"exec", "auth-provider"}) {
    if (!user.Has(program)) continue;
    return user.Error(program,
                      "is not supported: give the user a token, a tokenFile or a client "
                      "certificate, for example one of a service account");
  }
  if (user.Has("username") || user.Has("password")) {
    return user.Error("username", "is not supported: API servers take no passwords any more");
  }
  if (user.Has("as")) return user.Error("as", "is not supported: name a user with the rights");
  if (user.Has("tokenFile")) {  // it wins over token, as for kubectl
    config.token_file = user.File("tokenFile");
    absl::StatusOr<std::string> token = ReadTokenFile(config.token_file);
    if (!token.ok()) return user.Error("tokenFile", std::string(token.status().message()));
  } else {
    config.token = user.Text("token");
  }
  absl::StatusOr<std::string> certificate = user.Data("client-certificate");
  if (!certificate.ok()) return certificate.status();
  absl::StatusOr<std::string> key = user.Data("client-key");
  if (!key.ok()) return key.status();
  if (certificate->empty() != key->empty()) {
    return user.Error("client-certificate", "and client-key belong together; one is missing");
  }
  config.client_certificate_pem = *std::move(certificate);
  config.client_key_pem = *std::move(key);
  return absl::OkStatus();
}

absl::StatusOr<Config> Read(const std::string& path, const YAML::Node& root, std::string context) {
  if (!root.IsMap()) return absl::InvalidArgumentError(absl::StrCat(path, ": is no kubeconfig"));
  if (context.empty() && root["current-context"].IsScalar()) {
    context = root["current-context"].Scalar();
  }
  if (context.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": current-context is not set, and no context was named"));
  }
  absl::StatusOr<Entry> entry = Find(path, root, "contexts", "context", context);
  if (!entry.ok()) return entry.status();
  absl::StatusOr<Entry> cluster = Find(path, root, "clusters", "cluster", entry->Text("cluster"));
  if (!cluster.ok()) return cluster.status();
  Config config;
  if (absl::Status status = ReadCluster(*cluster, config); !status.ok()) return status;
  if (const std::string name = entry->Text("user"); !name.empty()) {
    absl::StatusOr<Entry> user = Find(path, root, "users", "user", name);
    if (!user.ok()) return user.status();
    if (absl::Status status = ReadUser(*user, config); !status.ok()) return status;
  }
  if (const std::string name_space = entry->Text("namespace"); !name_space.empty()) {
    config.name_space = name_space;
  }
  return config;
}

}  // namespace

absl::StatusOr<Config> Config::FromKubeconfig(std::string_view path, std::string_view context) {
  const std::string file(path);
  absl::StatusOr<std::string> text = ReadCredentialFile(file);
  if (!text.ok()) return text.status();
  try {
    return Read(file, YAML::Load(*text), std::string(context));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": is no YAML: ", error.what()));
  }
}

}  // namespace weft::kubernetes
