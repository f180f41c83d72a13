// A program that runs beside meshctl and never longer.
#ifndef WEFT_TOOLS_MESHCTL_CLUSTER_CHILD_H_
#define WEFT_TOOLS_MESHCTL_CLUSTER_CHILD_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace weft::meshctl {

// Ended (SIGTERM, then SIGKILL) by the destructor, and by the kernel if meshctl itself is killed.
// Start it on the main thread: the kernel takes that thread's end for meshctl's.
class Child {
 public:
  enum class Output {
    kRead,     // ReadLine gets standard output, Errors standard error
    kInherit,  // both are meshctl's own, and so is its standard input
  };

  static absl::StatusOr<Child> Start(const std::vector<std::string>& argv, Output output);

  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) = delete;
  ~Child();

  // The next line of standard output without its end. OutOfRange if the program has closed it;
  // DeadlineExceeded.
  absl::StatusOr<std::string> ReadLine(absl::Time deadline);

  // What it has said on standard error so far, at most 64 KiB.
  std::string Errors();

  // Waits for its end. Its exit code, or 128 + signal number. While it runs, an interrupt from the
  // terminal is its to answer.
  int Wait();

 private:
  Child(pid_t pid, int out, int err) : pid_(pid), out_(out), err_(err) {}

  pid_t pid_;
  int out_;
  int err_;
  std::string buffered_;
};

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_CLUSTER_CHILD_H_
