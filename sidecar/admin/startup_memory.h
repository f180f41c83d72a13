// Memory that only the start of the process needed.
#ifndef WEFT_SIDECAR_ADMIN_STARTUP_MEMORY_H_
#define WEFT_SIDECAR_ADMIN_STARTUP_MEMORY_H_

namespace weft::admin {

// Gives unused heap back, and unmaps code and constants that were read at the start (registering
// protobuf messages, gRPC's initialization) and mostly never again: what is needed comes back from
// the page cache as it is touched. Worth a few megabytes of resident memory. Call it once, when the
// sidecar has become ready.
void ReleaseStartupMemory();

}  // namespace weft::admin

#endif  // WEFT_SIDECAR_ADMIN_STARTUP_MEMORY_H_
