// The injection settings as a file that changes: a mounted ConfigMap.
#ifndef WEFT_INJECTOR_WEBHOOK_SETTINGS_FILE_H_
#define WEFT_INJECTOR_WEBHOOK_SETTINGS_FILE_H_

#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/kubernetes/cancellation.h"
#include "injector/patch/settings.h"
#include "injector/webhook/metrics.h"
#include "injector/webhook/mutate.h"

namespace weft::webhook {

// Where settings come from.
struct SettingsSource {
  std::string path;  // empty: the defaults
  // What the command line says beats the file.
  std::string name_space;    // of the mesh itself
  std::string trust_domain;  // empty: as the file says
};

// Errors name file and field.
absl::StatusOr<inject::Settings> ReadSettings(const SettingsSource& source);

// A thread that reads the file again every few seconds and hands new settings on. A file that
// cannot be used is logged and counted, and the last good one stays in force.
class SettingsFile {
 public:
  // Without a path there is nothing to follow. The references must outlive this.
  SettingsFile(SettingsSource source, Mutator& mutator, Metrics& metrics,
               absl::Duration look_again = absl::Seconds(5));
  ~SettingsFile();
  SettingsFile(const SettingsFile&) = delete;
  SettingsFile& operator=(const SettingsFile&) = delete;

 private:
  void Run();

  const SettingsSource source_;
  Mutator& mutator_;
  Metrics& metrics_;
  const absl::Duration look_again_;
  kubernetes::Cancellation stop_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_SETTINGS_FILE_H_
