// Whether the sidecar can take traffic, and if not, why.
#ifndef WEFT_SIDECAR_ADMIN_READINESS_H_
#define WEFT_SIDECAR_ADMIN_READINESS_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace weft::admin {

// Main reactor only.
class Readiness {
 public:
  // Says in words what is still missing; empty if nothing is.
  using Condition = std::function<std::string()>;

  void Require(Condition condition) { conditions_.push_back(std::move(condition)); }

  // From now on not ready: existing work goes on, no new work is wanted.
  void Drain() { draining_ = true; }
  bool draining() const { return draining_; }

  // Everything that is missing, one line each; empty: ready.
  std::string Missing() const {
    if (draining_) return "draining\n";
    std::string missing;
    for (const Condition& condition : conditions_) {
      const std::string reason = condition();
      if (!reason.empty()) missing += reason + "\n";
    }
    return missing;
  }

 private:
  std::vector<Condition> conditions_;
  bool draining_ = false;
};

}  // namespace weft::admin

#endif  // WEFT_SIDECAR_ADMIN_READINESS_H_
