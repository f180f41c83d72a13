// Keeps the API server able to verify us: `caBundle` in the webhook configurations.
#ifndef WEFT_INJECTOR_WEBHOOK_CA_BUNDLE_H_
#define WEFT_INJECTOR_WEBHOOK_CA_BUNDLE_H_

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/kubernetes/cancellation.h"
#include "base/kubernetes/client.h"
#include "injector/patch/json.h"
#include "injector/webhook/metrics.h"

namespace weft::webhook {

// Which roots belong into a bundle that several replicas write, each with its own view of the
// roots. What is missing is added at once; what we do not know may be another replica's that is
// ahead of us, and goes only when it has been unknown for a while. So replicas never fight. Not
// thread-safe.
class BundlePolicy {
 public:
  explicit BundlePolicy(absl::Duration patience = absl::Minutes(10)) : patience_(patience) {}

  // The bundle to write (PEM), or nullopt if `current` (PEM, possibly nonsense) will do. `roots` is
  // in canonical PEM.
  std::optional<std::string> Replacement(std::string_view current,
                                         const std::vector<std::string>& roots, absl::Time now);

 private:
  const absl::Duration patience_;
  std::map<std::string, absl::Time> unknown_since_;
};

// One for each webhook of a configuration, by its name.
using BundlePolicies = std::map<std::string, BundlePolicy>;

// The JSON Patch that brings a webhook configuration's bundles up to date; empty if they are. It
// tests what it relies on, so that a configuration that changed meanwhile is not damaged.
inject::Json CaBundlePatch(const inject::Json& configuration, const std::vector<std::string>& roots,
                           BundlePolicies& policies, absl::Time now);

// A thread that looks every few seconds, since whoever applies the chart's manifests again takes
// the bundle away.
class CaBundleWriter {
 public:
  using Roots = std::function<std::vector<std::string>()>;

  // `name` is that of both configurations. The references must outlive this.
  CaBundleWriter(kubernetes::Client& client, std::string name, Roots roots, Metrics& metrics,
                 absl::Duration look_again = absl::Seconds(3));
  ~CaBundleWriter();
  CaBundleWriter(const CaBundleWriter&) = delete;
  CaBundleWriter& operator=(const CaBundleWriter&) = delete;

  // Whether every configuration that exists has had the right bundle once.
  bool Written() const { return written_; }

 private:
  void Run();
  // OK as well if the configuration does not exist.
  absl::Status Refresh(const std::string& path, const std::vector<std::string>& roots);

  kubernetes::Client& client_;
  const std::string name_;
  const Roots roots_;
  Metrics& metrics_;
  const absl::Duration look_again_;
  std::map<std::string, BundlePolicies> policies_;  // by path
  std::atomic<bool> written_ = false;
  kubernetes::Cancellation stop_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weft::webhook

#endif  // WEFT_INJECTOR_WEBHOOK_CA_BUNDLE_H_
