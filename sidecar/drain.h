// How a sidecar ends: what is under way is finished, in order, within a limit. Main reactor only.
#ifndef WEFT_SIDECAR_DRAIN_H_
#define WEFT_SIDECAR_DRAIN_H_

#include <functional>
#include <memory>
#include <vector>

#include "sidecar/flags.h"
#include "sidecar/io/task.h"
#include "sidecar/proxy/worker.h"
#include "sidecar/replace/successor.h"

namespace weft {

using Workers = std::vector<std::unique_ptr<proxy::Worker>>;

// Runs `work` on every worker's thread.
void PostToAll(const Workers& workers, const std::function<void(proxy::Worker&)>& work);

// The pod ends. Goes on as before for --drain-delay; then inbound work finishes first, because the
// application may need outbound to finish it, and outbound requests last. Opaque outbound
// connections, which say nothing of what is under way in them, end with the sidecar. Takes no
// longer than --drain-timeout after the delay.
io::Task<void> Drain(const Flags& flags, const Workers& workers);

// Only this process ends: the successor accepts connections already, and gets those that are idle.
// The others are served until they end, for --drain-timeout at most.
io::Task<void> FinishForSuccessor(const Flags& flags, const Workers& workers,
                                  replace::Successor& successor);

}  // namespace weft

#endif  // WEFT_SIDECAR_DRAIN_H_
