// Where the mesh's objects come from: what "--source" names.
#ifndef WEFT_CONTROL_PLANE_SOURCE_SOURCE_H_
#define WEFT_CONTROL_PLANE_SOURCE_SOURCE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/kubernetes/client.h"
#include "control-plane/metrics.h"
#include "control-plane/store/object.h"
#include "weft/v1/inspect.pb.h"

namespace weft::source {

// Hands objects on for as long as it lives. Thread-safe.
class Source {
 public:
  // Takes changes; may be called on several threads at once, but for each kind of object in order.
  using Sink = std::function<void(std::vector<store::Update>)>;

  virtual ~Source() = default;

  // What has not been read yet, in words for a person. Until this is empty nobody may be told that
  // something does not exist. Once empty it stays so.
  virtual std::vector<std::string> Missing() const = 0;

  // What is wrong with the source or what it says.
  virtual std::vector<weft::v1::Finding> Findings() const = 0;
};

struct SourceAddress {
  enum class Scheme { kDirectory, kKubernetes };
  Scheme scheme = Scheme::kDirectory;
  std::string path;  // the directory; the kubeconfig, or empty for the credentials of the pod

  // Reads "dir:PATH", "kubernetes" and "kubernetes:KUBECONFIG"; InvalidArgument for all else.
  static absl::StatusOr<SourceAddress> Parse(std::string_view text);
};

// The client of the API server that the address names; nullptr if it names a directory. Does not
// connect yet. The errors of kubernetes::Config.
absl::StatusOr<std::unique_ptr<kubernetes::Client>> OpenKubernetes(const SourceAddress& address);

// Begins to read. `kubernetes` is what OpenKubernetes has made of the address; it, and the metrics,
// must outlive the source. A directory has been read when this returns, or is the error.
absl::StatusOr<std::unique_ptr<Source>> OpenSource(const SourceAddress& address,
                                                   kubernetes::Client* kubernetes,
                                                   Source::Sink sink, Metrics& metrics);

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_SOURCE_H_
