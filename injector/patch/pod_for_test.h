// Pods for tests, and what became of them.
#ifndef WEFT_INJECTOR_PATCH_POD_FOR_TEST_H_
#define WEFT_INJECTOR_PATCH_POD_FOR_TEST_H_

#include <string>
#include <vector>

#include "injector/patch/inject.h"
#include "injector/patch/yaml.h"

namespace weft::inject {

// A pod from YAML; ends the test program if it is none.
Json PodFrom(const std::string& yaml);

// The pod's injection in the namespace "shop", which is annotated with weft.io/inject=enabled.
Injection InjectInShop(const Json& pod, const Settings& settings = {});

// The pod after its injection there; ends the test program if it was not injected.
Json Injected(const Json& pod, const Settings& settings = {});

// The container (of whatever list) with the name; null if there is none.
Json ContainerOf(const Json& pod, const std::string& name);

// The names of a list of containers, in order: "weft-init weft-sidecar".
std::string NamesOf(const Json& pod, const std::string& list);

}  // namespace weft::inject

#endif  // WEFT_INJECTOR_PATCH_POD_FOR_TEST_H_
