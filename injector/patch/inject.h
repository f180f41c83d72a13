// Injection of one pod: decision, JSON Patch, warnings. Pure: no input but the arguments, no
// outside effect; safe to call from many threads.
#ifndef WEFT_INJECTOR_PATCH_INJECT_H_
#define WEFT_INJECTOR_PATCH_INJECT_H_

#include <string>

#include "injector/patch/decision.h"
#include "injector/patch/json.h"
#include "injector/patch/pod.h"
#include "injector/patch/settings.h"

namespace weft::inject {

struct Injection {
  Decision decision;
  Json patch = Json::array();  // RFC 6902; empty unless decision.verdict is kInject
};

// `pod` is a Pod, or a pod template (`metadata` and `spec`); `name_space` is the one it is created
// in. Whatever the pod looks like, this returns: a pod without the shape of one is refused.
Injection Inject(const Json& pod, const NamespaceFacts& name_space, const Settings& settings);

// A short word that changes with everything that settings put into pods; `weft.io/status` has it.
std::string SettingsHash(const Settings& settings);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_INJECT_H_
