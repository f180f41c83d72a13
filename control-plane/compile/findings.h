// Collects the mistakes that a compilation comes across.
#ifndef WEFT_CONTROL_PLANE_COMPILE_FINDINGS_H_
#define WEFT_CONTROL_PLANE_COMPILE_FINDINGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "weft/v1/inspect.pb.h"

namespace weft::compile {

// What a user needs to know about one mistake.
struct Mistake {
  std::string object;       // "TrafficSplit shop/tea"
  std::string field;        // "spec.backends[1].service"
  std::string_view reason;  // CamelCase, stable: tools and documentation refer to it
  std::string message;      // what is wrong and what that means for traffic
  std::string remedy;       // what to do about it
};

class FindingSink {
 public:
  // Configuration that means less than it says.
  void Error(Mistake mistake);
  // Configuration that means something, but probably not what was meant.
  void Warning(Mistake mistake);

  // What has been collected, in the order it was found.
  std::vector<weft::v1::Finding> Take() { return std::move(findings_); }

 private:
  void Add(weft::v1::Finding::Severity severity, Mistake mistake);

  std::vector<weft::v1::Finding> findings_;
};

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_FINDINGS_H_
