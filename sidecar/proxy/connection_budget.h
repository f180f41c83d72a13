// How many connections of clients the sidecar serves at one time.
#ifndef WEFT_SIDECAR_PROXY_CONNECTION_BUDGET_H_
#define WEFT_SIDECAR_PROXY_CONNECTION_BUDGET_H_

#include <atomic>
#include <cstddef>

namespace weft::proxy {

// Shared by the workers: the kernel does not share connections out evenly. Any thread; touched
// twice in a connection's life.
class ConnectionBudget {
 public:
  explicit ConnectionBudget(size_t max) : max_(max) {}
  ConnectionBudget(const ConnectionBudget&) = delete;
  ConnectionBudget& operator=(const ConnectionBudget&) = delete;

  // True: there is room, to be given back.
  bool Take() {
    if (open_.fetch_add(1, std::memory_order_relaxed) < max_) return true;
    GiveBack();
    return false;
  }
  void GiveBack() { open_.fetch_sub(1, std::memory_order_relaxed); }

  size_t open() const { return open_.load(std::memory_order_relaxed); }
  size_t max() const { return max_; }

 private:
  const size_t max_;
  std::atomic<size_t> open_ = 0;
};

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_CONNECTION_BUDGET_H_
