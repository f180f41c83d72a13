// How much of bodies may wait in memory.
#ifndef WEFT_SIDECAR_HTTP_H2_HELD_BYTES_H_
#define WEFT_SIDECAR_HTTP_H2_HELD_BYTES_H_

#include <cstddef>

namespace weft::http::h2 {

// Of the calling thread and all its sessions together: bytes of bodies that have come in and wait
// to be consumed. Beyond the maximum sessions stop returning the windows of their connections, so
// that peers send no more until something is consumed, and whoever begins new work should not.
// Without a call there is no maximum.
void SetMaxHeldBytes(size_t max);

bool HoldsTooMuch();

// For sessions.
void AddHeldBytes(size_t bytes);
void RemoveHeldBytes(size_t bytes);

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_HELD_BYTES_H_
