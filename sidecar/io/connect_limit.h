// How many connections may be being opened at one time.
#ifndef WEFT_SIDECAR_IO_CONNECT_LIMIT_H_
#define WEFT_SIDECAR_IO_CONNECT_LIMIT_H_

#include <cstddef>

namespace weft::io {

// Of the calling thread: beyond it, Connect() fails at once with ResourceExhausted. Without a call
// there is no limit.
void SetMaxPendingConnects(size_t max);

}  // namespace weft::io

#endif  // WEFT_SIDECAR_IO_CONNECT_LIMIT_H_
