// How far a trust bundle has come among the sidecars that are connected to this control plane.
#ifndef WEFT_CONTROL_PLANE_CA_BUNDLE_ACKNOWLEDGEMENTS_H_
#define WEFT_CONTROL_PLANE_CA_BUNDLE_ACKNOWLEDGEMENTS_H_

#include <string_view>

#include "control-plane/ca/authority.h"
#include "control-plane/ca/rotation.h"
#include "control-plane/discovery/hub.h"

namespace weft::ca {

// Fills in how many sidecars follow the bundle, how many of them have acknowledged exactly the
// authority's roots in their order, and some of the others.
void CountAcknowledgements(const discovery::Hub& hub, const Authority& authority,
                           ReplicaReport& report);

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_BUNDLE_ACKNOWLEDGEMENTS_H_
