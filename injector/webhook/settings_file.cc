#include "injector/webhook/settings_file.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "injector/patch/inject.h"
#include "injector/webhook/signer.h"

namespace weft::webhook {

absl::StatusOr<inject::Settings> ReadSettings(const SettingsSource& source) {
  std::string text;
  if (!source.path.empty()) {
    absl::StatusOr<std::string> read = ReadSmallFile(source.path);
    if (!read.ok()) return read.status();
    text = *std::move(read);
  }
  absl::StatusOr<inject::Settings> settings = inject::ParseSettings(text);
  if (!settings.ok()) {
    return absl::Status(settings.status().code(),
                        absl::StrCat(source.path, ": ", settings.status().message()));
  }
  settings->name_space = source.name_space;
  if (!source.trust_domain.empty()) settings->trust_domain = source.trust_domain;
  return settings;
}

SettingsFile::SettingsFile(SettingsSource source, Mutator& mutator, Metrics& metrics,
                           absl::Duration look_again)
    : source_(std::move(source)), mutator_(mutator), metrics_(metrics), look_again_(look_again) {
  if (!source_.path.empty()) thread_ = std::thread([this] { Run(); });
}

SettingsFile::~SettingsFile() {
  stop_.Cancel();
  if (thread_.joinable()) thread_.join();
}

void SettingsFile::Run() {
  std::string last_error;
  std::string last_hash;
  do {
    absl::StatusOr<inject::Settings> settings = ReadSettings(source_);
    metrics_.settings_invalid.Set(settings.ok() ? 0 : 1);
    if (!settings.ok()) {
      if (settings.status().ToString() != last_error) {
        WEFT_LOG_ERROR("the last good settings stay in force: {}", settings.status().ToString());
      }
      last_error = settings.status().ToString();
      continue;
    }
    last_error.clear();
    const std::string hash = inject::SettingsHash(*settings);
    if (!last_hash.empty() && hash != last_hash) WEFT_LOG_INFO("new settings, {}", hash);
    last_hash = hash;
    mutator_.SetSettings(*std::move(settings));
  } while (stop_.Sleep(look_again_));
}

}  // namespace weft::webhook
