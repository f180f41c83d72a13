// Which iptables a network namespace uses, and carrying rules into it.
//
// There are two that do not see each other: nft (iptables over nf_tables) and legacy (the older
// kernel interface). Rules belong into the one that is in use already, else into the one that
// works.
#ifndef WEFT_INJECTOR_INIT_BACKEND_H_
#define WEFT_INJECTOR_INIT_BACKEND_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "injector/init/redirection.h"
#include "injector/init/rules.h"
#include "injector/init/subprocess.h"

namespace weft {

enum class BackendKind {
  kNft,
  kLegacy,
  kPlain,  // programs named without a variant, where the distribution has only those
};

// "nft", "legacy" or "plain".
std::string_view BackendName(BackendKind kind);

// What a namespace has of one family in one backend.
struct TableState {
  InstalledRules ours;
  int rules = 0;  // rules and user-made chains of all tables, ours among them
};

// Programs are reached through these, so that tests can stand in for them.
struct Programs {
  std::function<bool(std::string_view name)> exists = ProgramExists;
  std::function<absl::StatusOr<ProcessResult>(const std::vector<std::string>& argv,
                                              std::string_view input)>
      run = RunProcess;
};

class Backend {
 public:
  // `lock_wait` is how long to wait for another program that holds the xtables lock.
  Backend(BackendKind kind, Programs programs, absl::Duration lock_wait)
      : kind_(kind), programs_(std::move(programs)), lock_wait_(lock_wait) {}

  // The backend to use: `forced` ("nft", "legacy") if it is there, or for "auto" the one that has
  // our rules, else the one that has more rules, else nft if the kernel has it, else legacy.
  // InvalidArgument for another name; NotFound says which programs are missing.
  static absl::StatusOr<Backend> Choose(std::string_view forced, Programs programs,
                                        absl::Duration lock_wait);

  BackendKind kind() const { return kind_; }

  // Whether its programs for the family are in PATH.
  bool Exists(IpFamily family) const;

  // What stands in the tables that are in use. Creates none: a namespace without rules stays
  // without.
  absl::StatusOr<TableState> Read(IpFamily family) const;

  // Applies the input in one atomic commit. Empty input is nothing to do.
  absl::Status Restore(IpFamily family, std::string_view input) const;

  // The command that Restore runs, for people to read.
  std::string RestoreCommand(IpFamily family) const;

 private:
  std::string Program(IpFamily family, std::string_view verb) const;
  std::vector<std::string> RestoreArguments(IpFamily family) const;

  BackendKind kind_;
  Programs programs_;
  absl::Duration lock_wait_;
};

}  // namespace weft

#endif  // WEFT_INJECTOR_INIT_BACKEND_H_
