// "meshctl routes explain": where a request goes and why, by the sidecar's own matching.
#ifndef WEFT_TOOLS_MESHCTL_EXPLAIN_H_
#define WEFT_TOOLS_MESHCTL_EXPLAIN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/meshctl/answers.pb.h"
#include "tools/meshctl/options.h"
#include "tools/meshctl/request_url.h"
#include "weft/v1/inspect.pb.h"

namespace weft::meshctl {

// The request in question.
struct Question {
  std::string from;  // "namespace/workload"
  std::string method = "GET";
  RequestUrl url;
  std::vector<std::string> headers;  // "name: value"
};

// Works the answer out from what the control plane resolved. InvalidArgument for a header that is
// none.
absl::StatusOr<RouteExplanation> Explain(const Question& question,
                                         const v1::ResolveRouteResponse& resolved);

// The explanation for people.
std::string ExplanationText(const RouteExplanation& explanation);

// The subcommand. `from` may lack the namespace.
absl::Status ExplainRoute(const Options& options, const std::string& from,
                          const std::string& method, const std::string& url,
                          const std::vector<std::string>& headers);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_EXPLAIN_H_
