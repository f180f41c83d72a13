// Where one small secret document lives that several processes share: a file, or a Kubernetes
// Secret.
#ifndef WEFT_CONTROL_PLANE_CA_STATE_STORE_H_
#define WEFT_CONTROL_PLANE_CA_STATE_STORE_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "control-plane/ca/state_directory.h"

namespace weft::ca {

// Thread-safe. Writes never lose another's: they are created once, and replaced only where the
// writer knows what it replaces.
class StateStore {
 public:
  struct Versioned {
    std::string content;
    std::string version;  // opaque; changes with the content
  };

  virtual ~StateStore() = default;

  // NotFound if there is no document; FailedPrecondition, with the remedy, if what is there cannot
  // be used; Unavailable if that cannot be found out now.
  virtual absl::StatusOr<Versioned> Read() = 0;

  // AlreadyExists, and no change, if there is a document.
  virtual absl::Status Create(std::string_view content) = 0;

  // Aborted, and no change, if the document is no longer of `version`.
  virtual absl::Status Replace(std::string_view content, std::string_view version) = 0;

  // What messages call it: "/var/lib/weft/ca.pem", "Secret weft-system/weft-ca".
  virtual std::string Name() const = 0;
};

// A file of mode 0600 in the state directory.
class FileStateStore final : public StateStore {
 public:
  FileStateStore(StateDirectory state, std::string file, size_t max_bytes)
      : state_(std::move(state)), file_(std::move(file)), max_bytes_(max_bytes) {}

  absl::StatusOr<Versioned> Read() override;
  absl::Status Create(std::string_view content) override;
  absl::Status Replace(std::string_view content, std::string_view version) override;
  std::string Name() const override { return state_.PathOf(file_); }

 private:
  const StateDirectory state_;
  const std::string file_;
  const size_t max_bytes_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_STATE_STORE_H_
