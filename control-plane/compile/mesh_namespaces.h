// Where the mesh is.
#ifndef WEFT_CONTROL_PLANE_COMPILE_MESH_NAMESPACES_H_
#define WEFT_CONTROL_PLANE_COMPILE_MESH_NAMESPACES_H_

#include <string>
#include <vector>

#include "control-plane/store/store.h"

namespace weft::compile {

// Namespaces that ask for sidecars, by annotation or label in either spelling, or that have pods
// with some: sorted by name.
std::vector<std::string> MeshNamespaces(const store::Store& store);

}  // namespace weft::compile

#endif  // WEFT_CONTROL_PLANE_COMPILE_MESH_NAMESPACES_H_
