#include "tools/meshctl/inject.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "injector/patch/settings.h"
#include "tools/meshctl/inject_manifest.h"

namespace weft::meshctl {
namespace {

constexpr size_t kMaxBytes = 64 << 20;

// At most one byte more than is allowed, so that too much is noticed.
std::string ReadAll(std::istream& in) {
  std::string text;
  char buffer[1 << 16];
  while (text.size() <= kMaxBytes && (in.read(buffer, sizeof buffer) || in.gcount() > 0)) {
    text.append(buffer, static_cast<size_t>(in.gcount()));
  }
  return text;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  if (path == "-") return ReadAll(std::cin);
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  return ReadAll(in);
}

absl::StatusOr<inject::Settings> ReadSettings(const std::string& path) {
  if (path.empty()) return inject::Settings();
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  absl::StatusOr<inject::Settings> settings = inject::ParseSettings(*text);
  if (settings.ok()) return settings;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", settings.status().message()));
}

// Says what became of every workload; how many were refused.
size_t Summarize(const InjectedManifest& manifest) {
  size_t injected = 0, skipped = 0, refused = 0;
  for (const InjectedObject& object : manifest.objects) {
    const inject::Decision& decision = object.decision;
    bool said = false;
    std::cerr << object.name << ": ";
    switch (decision.verdict) {
      case inject::Verdict::kInject:
        ++injected;
        std::cerr << "injected\n";
        break;
      case inject::Verdict::kSkip:
        ++skipped;
        std::cerr << "left as it is: " << decision.message << "\n";
        said = true;
        break;
      case inject::Verdict::kRefuse:
        ++refused;
        std::cerr << "refused: " << decision.field << ": " << decision.message << "\n";
        break;
    }
    for (const std::string& warning : decision.warnings) {
      if (said && warning == decision.message) continue;
      std::cerr << "  warning: " << warning << "\n";
    }
  }
  std::cerr << injected << " injected, " << skipped << " left as they are, " << refused
            << " refused\n";
  return refused;
}

}  // namespace

absl::Status InjectFile(const Options& options, const InjectRequest& request) {
  const absl::StatusOr<inject::Settings> settings = ReadSettings(request.settings_file);
  if (!settings.ok()) return settings.status();
  const absl::StatusOr<std::string> text = ReadFile(request.file);
  if (!text.ok()) return text.status();
  const std::string shown = request.file == "-" ? "standard input" : request.file;
  absl::StatusOr<InjectedManifest> manifest = InjectManifest(*text, options.name_space, *settings);
  if (!manifest.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(shown, ": ", manifest.status().message()));
  }
  if (Summarize(*manifest) > 0) {
    return absl::FailedPreconditionError(absl::StrCat(shown, ": not everything can be injected"));
  }
  std::cout << manifest->text << std::flush;
  if (!std::cout) return absl::DataLossError("standard output cannot be written");
  return absl::OkStatus();
}

}  // namespace weft::meshctl
