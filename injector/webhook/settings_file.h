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

// The settings in the file, or the defaults without one. `name_space` is the mesh's own. Errors
// name file and field.
absl::StatusOr<inject::Settings> ReadSettings(const std::string& path,
                                              const std::string& name_space);

// A thread that reads the file again every few seconds and hands new settings on. A file that
// cannot be used is logged and counted, and the last good one stays in force.
class SettingsFile {
 public:
  // Without a path there is nothing to follow. The references must outlive this.
  SettingsFile(std::string path, std::string name_space, Mutator& mutator, Metrics& metrics,
               absl::Duration look_again = absl::Seconds(5));
  ~SettingsFile();
  SettingsFile(const SettingsFile&) = delete;
  SettingsFile& operator=(const SettingsFile&) = delete;

 private:
  void Run();

  const std::string path_;
  const std::string name_space_;
  Mutator& mutator_;
  Metrics& metrics_;
  const absl::Duration look_again_;
  kubernetes::Cancellation stop_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_SETTINGS_FILE_H_
