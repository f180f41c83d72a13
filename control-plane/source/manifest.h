// A file of manifests: YAML or JSON, one or many documents, objects and lists of objects.
#ifndef WEFT_CONTROL_PLANE_SOURCE_MANIFEST_H_
#define WEFT_CONTROL_PLANE_SOURCE_MANIFEST_H_

#include <string_view>
#include <vector>

#include "control-plane/source/yaml.h"
#include "control-plane/store/object.h"
#include "weft/v1/inspect.pb.h"

namespace weft::source {

struct Manifest {
  // The objects that could be read, in the file's order. Kinds that the mesh does not read are left
  // out.
  std::vector<store::Update> objects;
  // Why the file, or a document in it, cannot be used. `object` is the file; the message says
  // document and object.
  std::vector<weft::v1::Finding> errors;
  // What can be used but means less than it says: unknown fields and versions.
  std::vector<weft::v1::Finding> warnings;
};

// Never fails as a whole: what is wrong is in `errors`. `file` is only used to name the file.
Manifest ParseManifest(std::string_view bytes, std::string_view file,
                       const YamlLimits& limits = {});

}  // namespace weft::source

#endif  // WEFT_CONTROL_PLANE_SOURCE_MANIFEST_H_
