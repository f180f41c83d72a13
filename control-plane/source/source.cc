#include "control-plane/source/source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/kubernetes/config.h"
#include "base/strings.h"
#include "control-plane/source/directory.h"
#include "control-plane/source/kubernetes.h"

namespace weft::source {
namespace {

// Takes `prefix` off the text, if something is left then.
bool Consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix) || text.size() == prefix.size()) return false;
  text.remove_prefix(prefix.size());
  return true;
}

class FromDirectory final : public Source {
 public:
  explicit FromDirectory(std::unique_ptr<DirectorySource> source) : source_(std::move(source)) {}

  std::vector<std::string> Missing() const override { return {}; }  // read at start
  std::vector<weft::v1::Finding> Findings() const override { return source_->Findings(); }

 private:
  const std::unique_ptr<DirectorySource> source_;
};

class FromKubernetes final : public Source {
 public:
  FromKubernetes(kubernetes::Client& client, Sink sink, Metrics& metrics)
      : source_(client, std::move(sink), metrics) {}

  std::vector<std::string> Missing() const override { return source_.Missing(); }
  std::vector<weft::v1::Finding> Findings() const override { return source_.Findings(); }

 private:
  const KubernetesSource source_;
};

}  // namespace

absl::StatusOr<SourceAddress> SourceAddress::Parse(std::string_view text) {
  std::string_view path = text;
  if (Consume(path, "dir:")) return SourceAddress{Scheme::kDirectory, std::string(path)};
  if (text == "kubernetes") return SourceAddress{Scheme::kKubernetes, ""};
  if (Consume(path, "kubernetes:")) return SourceAddress{Scheme::kKubernetes, std::string(path)};
  return absl::InvalidArgumentError(absl::StrCat("\"", ToAbsl(text),
                                                 "\" is none of dir:PATH, kubernetes and "
                                                 "kubernetes:KUBECONFIG"));
}

absl::StatusOr<std::unique_ptr<kubernetes::Client>> OpenKubernetes(const SourceAddress& address) {
  if (address.scheme != SourceAddress::Scheme::kKubernetes) return nullptr;
  absl::StatusOr<kubernetes::Config> config =
      address.path.empty() ? kubernetes::Config::InCluster()
                           : kubernetes::Config::FromKubeconfig(address.path);
  if (!config.ok()) return config.status();
  return kubernetes::Client::Create(*std::move(config));
}

absl::StatusOr<std::unique_ptr<Source>> OpenSource(const SourceAddress& address,
                                                   kubernetes::Client* kubernetes,
                                                   Source::Sink sink, Metrics& metrics) {
  if (address.scheme == SourceAddress::Scheme::kKubernetes) {
    return std::make_unique<FromKubernetes>(*kubernetes, std::move(sink), metrics);
  }
  absl::StatusOr<std::unique_ptr<DirectorySource>> directory =
      DirectorySource::Start({.path = address.path, .limits = {}}, std::move(sink));
  if (!directory.ok()) return directory.status();
  return std::make_unique<FromDirectory>(*std::move(directory));
}

}  // namespace weft::source
