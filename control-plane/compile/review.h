// What the mesh makes of the objects that users write for it, object by object: what their status
// says.
#ifndef WEFT_CONTROL_PLANE_COMPILE_REVIEW_H_
#define WEFT_CONTROL_PLANE_COMPILE_REVIEW_H_

#include <cstdint>
#include <string>
#include <vector>

#include "control-plane/store/object.h"
#include "weft/v1/inspect.pb.h"

namespace weft::compile {

class Index;
class View;

// One object as it was when it was reviewed.
struct Review {
  store::ObjectKey key;
  std::string uid;         // empty: it comes from no API server
  int64_t generation = 0;  // of its spec
  std::vector<weft::v1::Finding> findings;
};

// Every TrafficSplit and HTTPRouteGroup, also those without findings; by kind and name.
std::vector<Review> ReviewObjects(const Index& index, const View& view);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_REVIEW_H_
